"""Heatmaps of tiles in the image's own pixels."""

from __future__ import annotations

import numpy as np

from inference_core.prepare import blend_tiles, map_to_image
from inference_core.records import FloatArray, Placement


def to_image(heatmaps: FloatArray, placement: Placement) -> FloatArray:
    """Undo the fit: tiles are blended, padding is cut off, the crop is put back, the scale is the image's.

    Args:
        heatmaps: (T, h, w) float32, one for each tile; not modified.
        placement: of the image.

    Returns:
        (H, W) float32, 0 where the model did not see the image.
    """
    planes = np.ascontiguousarray(heatmaps[:, None], np.float32)  # (T, 1, h, w)
    canvas = planes[0] if placement.num_tiles == 1 else blend_tiles(planes, placement)
    return map_to_image(canvas[0], placement, interpolation="bilinear")
