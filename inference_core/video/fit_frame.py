"""Frames in the size of a video: with even sides, and where the source changes its size in between."""

from __future__ import annotations

import cv2
import numpy as np

from inference_core.records import Uint8Array


def fit_frame(pixels: Uint8Array, *, image_hw: tuple[int, int]) -> Uint8Array:
    """A frame in a size: as it is, or as large as it goes in the middle of black.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        image_hw: of the video.
    """
    height, width = pixels.shape[:2]
    if (height, width) == image_hw:
        return pixels
    scale = min(image_hw[0] / height, image_hw[1] / width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (image_hw[0] - new_height) // 2, (image_hw[1] - new_width) // 2
    fitted = np.zeros((*image_hw, 3), np.uint8)
    fitted[top : top + new_height, left : left + new_width] = cv2.resize(
        pixels, (new_width, new_height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )
    return fitted


def even(side_px: int) -> int:
    """A side as H.264 takes it."""
    return side_px + side_px % 2


def with_even_sides(pixels: Uint8Array) -> Uint8Array:
    """A frame whose last row and column are repeated where one is missing."""
    height, width = pixels.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(pixels)
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
