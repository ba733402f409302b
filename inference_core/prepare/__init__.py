"""From decoded pixels to the model's input and back: filters, resize, fit, tiles, placement.

Pure functions on uint8 arrays. Importing this loads OpenCV and Pillow; torch only when it is the resampler.
"""

from __future__ import annotations

from inference_core.prepare.blend import blend_bands, blend_tiles
from inference_core.prepare.color import to_gray
from inference_core.prepare.filters import apply_filters
from inference_core.prepare.fit import apply_fit
from inference_core.prepare.placement import boxes_to_image, map_to_image, points_to_canvas, points_to_image
from inference_core.prepare.plan import check_fit_limit, plan_fit
from inference_core.prepare.resize import check_resampler, resize_image

__all__ = [
    "apply_filters",
    "apply_fit",
    "blend_bands",
    "blend_tiles",
    "boxes_to_image",
    "check_fit_limit",
    "check_resampler",
    "map_to_image",
    "plan_fit",
    "points_to_canvas",
    "points_to_image",
    "resize_image",
    "to_gray",
]
