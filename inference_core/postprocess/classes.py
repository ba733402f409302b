"""Which classes a mask holds, and the checks that every step on a mask shares."""

from __future__ import annotations

import numpy as np

from inference_core.errors import ShapeError
from inference_core.records import Uint8Array, check_array


def check_mask(mask: Uint8Array) -> None:
    """Raise ShapeError unless ``mask`` is a non-empty (H, W) uint8 array."""
    check_array("mask", mask, ndim=2, dtype=np.uint8)
    if mask.size == 0:
        raise ShapeError(f"mask must be (H, W) with H, W >= 1, got {list(mask.shape)}")


def foreground_classes(mask: Uint8Array, *, background: int) -> list[int]:
    """Class ids that occur in the mask, ascending, without the background."""
    return [class_id for class_id in np.flatnonzero(np.bincount(mask.ravel())).tolist() if class_id != background]
