"""Sizes of pictures: that a result is of the image it is drawn on, and a smaller copy of both where they are huge."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from inference_core.errors import ConfigError, ShapeError
from inference_core.records import Uint8Array
from inference_core.results import Detection, InstanceMask, Result, Segmentation, Spread
from inference_core.run_length import encode_mask

MAX_SIDE_PX = 4096
"""Of pictures that are drawn, unless more is asked for."""


def check_same_size(pixels: Uint8Array, plane: Uint8Array, *, name: str) -> None:
    """Raise ShapeError unless a (H, W) plane is of the image."""
    if plane.shape != pixels.shape[:2]:
        raise ShapeError(
            f"{name} must be {list(pixels.shape[:2])} as the image, got {list(plane.shape)}; give the image that the "
            "result is of, upright and whole"
        )


def working_copy(pixels: Uint8Array, result: Result, *, max_side_px: int = MAX_SIDE_PX) -> tuple[Uint8Array, Result]:
    """The image and its result, both scaled down where the image is larger.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        result: of the image.
        max_side_px: longest side of the copy.

    Returns:
        The arguments themselves where they are small enough.

    Raises:
        ConfigError: ``max_side_px`` is below 1.
        ShapeError: the result is of an image of another size.
    """
    if max_side_px < 1:
        raise ConfigError(f"must be at least 1, got {max_side_px}; correct it", key="max_side_px")
    if isinstance(result, Segmentation):
        check_same_size(pixels, result.mask, name="mask")
    size_hw = fitted_hw(pixels.shape[:2], max_side_px=max_side_px)
    if size_hw == pixels.shape[:2]:
        return pixels, result
    return scale_pixels(pixels, size_hw), scale_result(result, image_hw=pixels.shape[:2], size_hw=size_hw)


def fitted_hw(image_hw: tuple[int, ...], *, max_side_px: int) -> tuple[int, int]:
    """The size of an image whose longest side is at most so long; at least one pixel each way."""
    height, width = image_hw
    scale = min(1.0, max_side_px / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def scale_pixels(pixels: Uint8Array, size_hw: tuple[int, int]) -> Uint8Array:
    """A picture at a size: each pixel the mean of those it stands for, or smoothly between where there are too few."""
    is_smaller = size_hw[0] <= pixels.shape[0] and size_hw[1] <= pixels.shape[1]
    method = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, size_hw[::-1], interpolation=method), np.uint8)


def scale_result(result: Result, *, image_hw: tuple[int, ...], size_hw: tuple[int, int]) -> Result:
    """A result in the pixels of a smaller copy. Counts of pixels stay those of the image."""
    if isinstance(result, Segmentation):
        spread = result.spread and scale_spread(result.spread, size_hw)
        mask, scores = scale_plane(result.mask, size_hw), scale_plane(result.scores, size_hw)
        return replace(result, mask=mask, scores=scores, spread=spread)
    if isinstance(result, Detection):
        down, across = size_hw[0] / image_hw[0], size_hw[1] / image_hw[1]
        boxes = (result.boxes_xyxy * np.array([across, down, across, down])).astype(np.float32)
        masks = None if result.masks is None else tuple(scale_mask(mask, size_hw) for mask in result.masks)
        return replace(result, boxes_xyxy=boxes, masks=masks)
    return result


def scale_plane(plane: Uint8Array, size_hw: tuple[int, int]) -> Uint8Array:
    """(H, W) class ids or scores at a size: classes have nothing between them, so the nearest pixel counts."""
    return np.asarray(cv2.resize(plane, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def scale_spread(spread: Spread, size_hw: tuple[int, int]) -> Spread:
    """The uncertainty of pixels at a size."""
    return spread if spread.pixels is None else replace(spread, pixels=scale_plane(spread.pixels, size_hw))


def scale_mask(mask: InstanceMask, size_hw: tuple[int, int]) -> InstanceMask:
    """The pixels of an object at a size."""
    scaled = scale_plane(mask.to_array().astype(np.uint8), size_hw).astype(bool)
    return InstanceMask(size_hw=size_hw, counts=encode_mask(scaled), area_px=mask.area_px)
