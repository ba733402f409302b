"""Remove connected components that are too small to be real."""

from __future__ import annotations

import cv2
import numpy as np

from inference_core.errors import ConfigError
from inference_core.postprocess.classes import check_mask, foreground_classes
from inference_core.records import Uint8Array


def remove_small_components(mask: Uint8Array, *, min_area_px: int, background: int = 0) -> Uint8Array:
    """Turn components of fewer than ``min_area_px`` pixels into background.

    A component is a set of pixels of one class that touch at an edge or a corner (8-connectivity).

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        min_area_px: least area that stays, at least 1; 1 removes nothing.
        background: class id that is never removed.

    Returns:
        (H, W) uint8.

    Raises:
        ConfigError: min_area_px is under 1.
        ShapeError: mask is not (H, W) uint8.

    Cost: an int32 label map for one class at a time.
    """
    check_mask(mask)
    if min_area_px < 1:
        raise ConfigError(f"min_area_px must be at least 1, got {min_area_px}; leave the step out to keep everything")
    cleaned = mask.copy()
    for class_id in foreground_classes(mask, background=background):
        member = (mask == class_id).view(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(member, connectivity=8)
        # (components + 1,). Label 0 is all other pixels: where they are too few, their own components are too.
        is_small = stats[:, cv2.CC_STAT_AREA] < min_area_px
        if is_small.any():
            cleaned[is_small[labels]] = background
    return cleaned
