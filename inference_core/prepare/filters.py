"""Steps that some domains need on the decoded pixels before the fit: gray, stretch, CLAHE, gamma."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from inference_core.errors import ConfigError
from inference_core.prepare.color import check_channels, to_gray
from inference_core.records import Uint8Array

if TYPE_CHECKING:
    # pydantic stays out of this package at run time
    from inference_core.input_spec import ClaheFilter, GammaFilter, GrayFilter, StretchMinmaxFilter

    Filter = GrayFilter | StretchMinmaxFilter | ClaheFilter | GammaFilter | Callable[[Uint8Array], Uint8Array]


def apply_filters(pixels: Uint8Array, filters: Iterable[Filter]) -> Uint8Array:
    """Apply steps in order.

    Args:
        pixels: (H, W, C) uint8, C 1 or 3. Not modified.
        filters: steps by name with their options, or functions, which check themselves what they give.

    Returns:
        (H, W, C) uint8; the argument itself without filters.

    Raises:
        ConfigError: an option is out of range or a filter is not known.
        ShapeError: pixels are not uint8 of one or three channels.
    """
    check_channels(pixels)
    for step in filters:
        if callable(step):
            pixels = step(pixels)
        elif step.name == "gray":
            pixels = make_gray(pixels)
        elif step.name == "stretch_minmax":
            pixels = stretch_minmax(pixels)
        elif step.name == "clahe":
            pixels = equalize_adaptive(pixels, clip_limit=step.clip_limit, grid_hw=step.grid)
        elif step.name == "gamma":
            pixels = adjust_gamma(pixels, gamma=step.gamma)
        else:
            raise ConfigError(f"filter must be gray, stretch_minmax, clahe or gamma, got {step!r}; correct the name")
    return pixels


def make_gray(pixels: Uint8Array) -> Uint8Array:
    """Luminance in every channel: (H, W, C) uint8 to (H, W, C) uint8."""
    gray = to_gray(pixels)
    return gray if pixels.shape[2] == 1 else np.repeat(gray, 3, axis=2)


def stretch_minmax(pixels: Uint8Array) -> Uint8Array:
    """Darkest value of the image to 0 and brightest to 255, linear, rounded to nearest.

    All channels share one range, so colours keep their hue. An image of one value has no range and stays as it is.
    """
    low, high = int(pixels.min()), int(pixels.max())
    if low == high:
        return pixels
    levels = np.clip(np.arange(256), low, high)
    return _look_up(pixels, np.rint((levels - low) * (255 / (high - low))).astype(np.uint8))


def equalize_adaptive(pixels: Uint8Array, *, clip_limit: float, grid_hw: tuple[int, int]) -> Uint8Array:
    """Contrast-limited adaptive histogram equalisation, as OpenCV's ``createCLAHE``.

    On RGB it changes the luminance (Y of YCrCb) only, so that an image without colour gives what its gray gives.

    Args:
        pixels: (H, W, C) uint8, C 1 or 3.
        clip_limit: > 0; how steep the mapping may become.
        grid_hw: tiles down and across, at least 1.

    Raises:
        ConfigError: an option is out of range.

    Source: Zuiderveld, Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV, 1994.
    """
    if not clip_limit > 0 or min(grid_hw) < 1:
        raise ConfigError(
            f"clahe must have clip_limit > 0 and a grid of at least 1 x 1, got {clip_limit} and {list(grid_hw)}; "
            "correct the filter"
        )
    clahe = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(grid_hw[1], grid_hw[0]))
    if pixels.shape[2] == 1:
        return np.asarray(clahe.apply(pixels[..., 0]), np.uint8)[..., None]
    luma_chroma = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    luma_chroma[..., 0] = clahe.apply(luma_chroma[..., 0])
    return np.asarray(cv2.cvtColor(luma_chroma, cv2.COLOR_YCrCb2RGB), np.uint8)


def adjust_gamma(pixels: Uint8Array, *, gamma: float) -> Uint8Array:
    """``255 * (pixel / 255) ** (1 / gamma)``, rounded down; above 1 is brighter.

    Raises:
        ConfigError: gamma is not finite and positive.

    Source: the table that U-Nets for retinal images are trained with, orobix/retina-unet, ``lib/pre_processing.py``.
    """
    if not (np.isfinite(gamma) and gamma > 0):
        raise ConfigError(f"gamma must be finite and > 0, got {gamma}; 1 changes nothing")
    table = (np.arange(256) / 255) ** (1 / gamma) * 255
    return _look_up(pixels, table.astype(np.uint8))


def _look_up(pixels: Uint8Array, table: Uint8Array) -> Uint8Array:
    return np.asarray(cv2.LUT(pixels, table), np.uint8).reshape(pixels.shape)
