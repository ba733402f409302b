"""Turning pixels upright as EXIF says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2

from inference_core.records import Uint8Array

_TURNS: dict[int, Callable[[Any], Any]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def apply_orientation(pixels: Uint8Array, orientation: int) -> Uint8Array:
    """Turn an image upright.

    Args:
        pixels: (H, W, 3) uint8 as stored.
        orientation: EXIF orientation, 1 to 8; 5 to 8 swap height and width.

    Returns:
        (H, W, 3) or (W, H, 3) uint8, contiguous; ``pixels`` itself for 1.
    """
    turn = _TURNS.get(orientation)
    upright: Uint8Array = turn(pixels) if turn else pixels
    return upright


def undo_orientation(pixels: Uint8Array, orientation: int) -> Uint8Array:
    """The inverse of ``apply_orientation``."""
    return apply_orientation(pixels, {6: 8, 8: 6}.get(orientation, orientation))
