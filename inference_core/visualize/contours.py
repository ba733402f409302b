"""Outlines of the classes in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.records import Uint8Array
from inference_core.visualize.palette import DEFAULT_PALETTE, Palette
from inference_core.visualize.picture_size import check_same_size


def draw_contours(
    pixels: Uint8Array,
    mask: Uint8Array,
    *,
    palette: Palette = DEFAULT_PALETTE,
    background: int | None = 0,
    line_px: int | None = None,
) -> Uint8Array:
    """The outline of every region of a class, in the class's colour.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        mask: (H, W) uint8 class ids.
        palette: colours of classes.
        background: the class without outlines; None for none.
        line_px: width of lines; by default 1 for each 800 pixels of the longer side.

    Raises:
        ShapeError: the mask is of an image of another size.
    """
    check_same_size(pixels, mask, name="mask")
    drawn = pixels.copy()
    width = line_px or max(1, round(max(mask.shape) / 800))
    for class_id, outlines in class_outlines(mask, background=background):
        cv2.drawContours(drawn, outlines, -1, palette.class_color(class_id), thickness=width, lineType=cv2.LINE_AA)
    return drawn


def class_outlines(mask: Uint8Array, *, background: int | None) -> list[tuple[int, Sequence[NDArray[Any]]]]:
    """Outlines of the regions of each class that occurs, holes too, as OpenCV gives them: (N, 1, 2) int32 x, y."""
    found = []
    for class_id in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist():
        if class_id != background:
            plane = (mask == class_id).astype(np.uint8)
            outlines, _ = cv2.findContours(plane, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
            found.append((class_id, outlines))
    return found
