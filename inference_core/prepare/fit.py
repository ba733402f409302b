"""Put pixels where a plan says: scale, pad, cut into tiles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np

from inference_core.errors import ConfigError, ShapeError
from inference_core.prepare.color import check_channels
from inference_core.prepare.placement import visible_window
from inference_core.prepare.resize import Interpolation, Resampler, resize_window
from inference_core.records import Placement, Prepared, Uint8Array

PadMode = Literal["constant", "edge", "reflect"]

BORDER_FLAGS: Mapping[str, int] = MappingProxyType(
    {"constant": cv2.BORDER_CONSTANT, "edge": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}
)


def apply_fit(
    pixels: Uint8Array,
    placement: Placement,
    *,
    interpolation: Interpolation = "bilinear",
    resampler: Resampler = "pillow",
    pad_mode: PadMode = "constant",
    pad_value: int = 114,
) -> Prepared:
    """Carry out a plan.

    Args:
        pixels: (H, W, C) uint8, C 1 or 3, of the size that was planned for. Not modified.
        placement: from ``plan_fit``, checked with ``check_fit_limit``.
        interpolation: as in ``resize_image``.
        resampler: as in ``resize_image``.
        pad_mode: what lies beside the image: one value, its last pixel, or its mirror image without the last pixel.
        pad_value: 0 to 255, used where the mode is constant.

    Returns:
        Tiles (T, h, w, C) and the placement. The tiles share memory with ``pixels`` where nothing had to change.

    Raises:
        ConfigError: the resampler has no such interpolation, or the padding is not known.
        ShapeError: pixels are not uint8 of one or three channels, or not of the planned size.
    """
    check_channels(pixels)
    if pixels.shape[:2] != placement.image_hw:
        raise ShapeError(f"pixels must be of the planned size {placement.image_hw}, got {pixels.shape[:2]}; plan again")
    window_yx, window_hw = visible_window(placement)
    window = resize_window(
        pixels,
        scaled_hw=placement.scaled_hw,
        window_yx=window_yx,
        window_hw=window_hw,
        interpolation=interpolation,
        resampler=resampler,
    )
    canvas = _pad(window, placement, pad_mode=pad_mode, pad_value=pad_value)
    return Prepared(tiles=_cut(canvas, placement), placement=placement)


def _pad(window: Uint8Array, placement: Placement, *, pad_mode: PadMode, pad_value: int) -> Uint8Array:
    if pad_mode not in BORDER_FLAGS or not 0 <= pad_value <= 255:
        raise ConfigError(
            f"padding must be constant, edge or reflect with a value of 0 to 255, got {pad_mode!r} with {pad_value}; "
            "correct pad_mode or pad_value"
        )
    height, width, channels = window.shape
    if (height, width) == placement.canvas_hw:
        return window
    top, left = (max(0, offset) for offset in placement.offset_yx)
    bottom, right = placement.canvas_hw[0] - top - height, placement.canvas_hw[1] - left - width
    value = (pad_value, pad_value, pad_value)
    padded = cv2.copyMakeBorder(window, top, bottom, left, right, BORDER_FLAGS[pad_mode], value=value)
    return np.asarray(padded, np.uint8).reshape(*placement.canvas_hw, channels)  # OpenCV drops a single channel


def _cut(canvas: Uint8Array, placement: Placement) -> Uint8Array:
    if placement.num_tiles == 1:
        return np.ascontiguousarray(canvas)[None]
    height, width = placement.tile_hw
    tiles = np.empty((placement.num_tiles, height, width, canvas.shape[2]), np.uint8)
    for tile, (top, left) in zip(tiles, placement.tile_origins_yx, strict=True):
        tile[:] = canvas[top : top + height, left : left + width]
    return tiles
