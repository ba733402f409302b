"""Which classes a mask holds, where each of them lies, and the checks that every step on a mask shares."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import cv2
import numpy as np

from inference_core.errors import ShapeError
from inference_core.records import Uint8Array, check_array

Window = tuple[slice, slice]
"""Rows and columns of a mask."""


def check_mask(mask: Uint8Array) -> None:
    """Raise ShapeError unless ``mask`` is a non-empty (H, W) uint8 array."""
    check_array("mask", mask, ndim=2, dtype=np.uint8)
    if mask.size == 0:
        raise ShapeError(f"mask must be (H, W) with H, W >= 1, got {list(mask.shape)}")


def foreground_classes(mask: Uint8Array, *, background: int) -> list[int]:
    """Class ids that occur in the mask, ascending, without the background."""
    # Its counts are float32 and so not exact beyond 2^24, but never 0 where there is something.
    counts = cv2.calcHist([mask], [0], None, [256], [0, 256])
    return [class_id for class_id in np.flatnonzero(counts).tolist() if class_id != background]


def class_windows(
    mask: Uint8Array, *, class_ids: Collection[int] | None, background: int, margin_px: int = 0
) -> Iterator[tuple[int, Window, Uint8Array]]:
    """Each class of a mask by itself, cut out where it lies.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        class_ids: which; None for all that occur. Those that do not occur are left out, and so is the background.
        background: class id.
        margin_px: of other pixels around the class, where the image has them.

    Yields:
        The class id, ascending; its window of the mask; and the window's pixels, (h, w) uint8, 1 where the class is.
    """
    wanted = foreground_classes(mask, background=background) if class_ids is None else sorted(set(class_ids))
    for class_id in wanted:
        member = (mask == class_id).view(np.uint8)
        left, top, width, height = cv2.boundingRect(member)
        if class_id != background and width:
            rows = slice(max(top - margin_px, 0), top + height + margin_px)
            columns = slice(max(left - margin_px, 0), left + width + margin_px)
            yield class_id, (rows, columns), np.ascontiguousarray(member[rows, columns])
