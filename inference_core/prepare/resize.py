"""Resize uint8 images exactly as a named library does.

The library is part of a model's contract: OpenCV's bilinear reads four pixels and Pillow's every pixel that an
output pixel covers, so their results differ in more than half of all values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from inference_core.errors import ConfigError, ShapeError
from inference_core.prepare.color import check_channels
from inference_core.records import Uint8Array

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "area"]
Resampler = Literal["pillow", "pillow_box", "torch", "opencv"]

PILLOW_FILTERS: Mapping[str, Image.Resampling] = MappingProxyType(
    {
        "nearest": Image.Resampling.NEAREST,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "lanczos": Image.Resampling.LANCZOS,
        "area": Image.Resampling.BOX,
    }
)
OPENCV_FLAGS: Mapping[str, int] = MappingProxyType(
    {
        "nearest": cv2.INTER_NEAREST,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
        "lanczos": cv2.INTER_LANCZOS4,
        "area": cv2.INTER_AREA,
    }
)
TORCH_MODES: tuple[str, ...] = ("nearest", "bilinear", "bicubic")
"""Those of torchvision's tensor transforms; torch's area has no uint8 kernel."""


def resize_image(
    pixels: Uint8Array,
    *,
    size_hw: tuple[int, int],
    interpolation: Interpolation = "bilinear",
    resampler: Resampler = "pillow",
) -> Uint8Array:
    """Scale an image to a size; the aspect is not kept.

    Args:
        pixels: (H, W, C) uint8, C 1 or 3. Not modified.
        size_hw: height and width of the result, at least 1.
        interpolation: kernel; ``area`` is Pillow's BOX and OpenCV's INTER_AREA.
        resampler: ``pillow`` is exactly ``Image.resize``; ``torch`` is the antialiased uint8 kernel of torchvision's
            tensor transforms; ``opencv`` is ``cv2.resize``; ``pillow_box`` is ``pillow`` here and differs only in
            ``resize_window``.

    Returns:
        (h, w, C) uint8; the argument itself where the size is already right.

    Raises:
        ConfigError: the resampler has no such interpolation.
        ShapeError: pixels are not uint8 of one or three channels, or a side of the size is under 1.
    """
    return resize_window(
        pixels,
        scaled_hw=size_hw,
        window_yx=(0, 0),
        window_hw=size_hw,
        interpolation=interpolation,
        resampler=resampler,
    )


def resize_window(
    pixels: Uint8Array,
    *,
    scaled_hw: tuple[int, int],
    window_yx: tuple[int, int],
    window_hw: tuple[int, int],
    interpolation: Interpolation = "bilinear",
    resampler: Resampler = "pillow",
) -> Uint8Array:
    """Scale an image and keep a window of the result.

    ``pillow_box`` computes only the window. It is faster and not exact: Pillow holds the window's edges as float32,
    which moves a few values by 1 of 255. All others compute the whole scaled image and cut.

    Args:
        pixels: (H, W, C) uint8, C 1 or 3. Not modified.
        scaled_hw: size of the whole scaled image.
        window_yx: top left corner of the window in the scaled image.
        window_hw: size of the window, which lies inside the scaled image.
        interpolation: as in ``resize_image``.
        resampler: as in ``resize_image``.

    Returns:
        (h, w, C) uint8 of ``window_hw``.

    Raises:
        ConfigError: the resampler has no such interpolation.
        ShapeError: pixels are not uint8 of one or three channels, or a side of the size is under 1.
    """
    check_channels(pixels)
    check_resampler(interpolation=interpolation, resampler=resampler)
    if min(scaled_hw) < 1 or min(window_hw) < 1:
        raise ShapeError(f"size_hw must be at least 1 x 1, got {list(scaled_hw)} and a window of {list(window_hw)}")
    if resampler == "pillow_box" and scaled_hw != window_hw:
        return _resize_pillow_box(pixels, scaled_hw, window_yx, window_hw, interpolation)
    # At scale 1 every resampler keeps the values.
    scaled = pixels if scaled_hw == pixels.shape[:2] else _RESIZERS[resampler](pixels, scaled_hw, interpolation)
    if scaled_hw == window_hw:
        return scaled
    (top, left), (height, width) = window_yx, window_hw
    # A copy, so that a small crop does not keep the large image in memory.
    return scaled[top : top + height, left : left + width].copy()


def check_resampler(*, interpolation: Interpolation, resampler: Resampler) -> None:
    """Raise ConfigError unless the resampler has the interpolation."""
    allowed = _INTERPOLATIONS.get(resampler)
    if allowed is None:
        raise ConfigError(f"resampler must be one of {', '.join(_INTERPOLATIONS)}, got {resampler!r}; correct the name")
    if interpolation not in allowed:
        raise ConfigError(
            f"interpolation must be one of {', '.join(allowed)} with resampler {resampler}, got {interpolation!r}; "
            "choose one of these or another resampler"
        )


def _resize_pillow(pixels: Uint8Array, size_hw: tuple[int, int], interpolation: str) -> Uint8Array:
    image = _to_pillow(pixels).resize((size_hw[1], size_hw[0]), PILLOW_FILTERS[interpolation])
    return np.asarray(image).reshape(*size_hw, pixels.shape[2])


def _resize_pillow_box(
    pixels: Uint8Array,
    scaled_hw: tuple[int, int],
    window_yx: tuple[int, int],
    window_hw: tuple[int, int],
    interpolation: str,
) -> Uint8Array:
    height, width, channels = pixels.shape
    scale_y, scale_x = height / scaled_hw[0], width / scaled_hw[1]
    (top, left), (window_height, window_width) = window_yx, window_hw
    box = (left * scale_x, top * scale_y, (left + window_width) * scale_x, (top + window_height) * scale_y)
    image = _to_pillow(pixels).resize((window_width, window_height), PILLOW_FILTERS[interpolation], box=box)
    return np.asarray(image).reshape(*window_hw, channels)


def _to_pillow(pixels: Uint8Array) -> Image.Image:
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])


def _resize_opencv(pixels: Uint8Array, size_hw: tuple[int, int], interpolation: str) -> Uint8Array:
    scaled = cv2.resize(pixels, (size_hw[1], size_hw[0]), interpolation=OPENCV_FLAGS[interpolation])
    return np.asarray(scaled, np.uint8).reshape(*size_hw, pixels.shape[2])  # OpenCV drops a single channel


def _resize_torch(pixels: Uint8Array, size_hw: tuple[int, int], interpolation: str) -> Uint8Array:
    import torch  # 1.5 s to import: only for packages that name it
    from torch.nn.functional import interpolate

    # torch refuses read-only memory, which is what Ray hands over: np.require copies that and nothing else.
    source = torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)[None]
    antialias = interpolation != "nearest"
    scaled = interpolate(source, size=size_hw, mode=interpolation, antialias=antialias)
    return np.ascontiguousarray(scaled[0].permute(1, 2, 0).numpy(), np.uint8)


_Resizer = Callable[[Uint8Array, tuple[int, int], str], Uint8Array]
_RESIZERS: Mapping[str, _Resizer] = MappingProxyType(
    {"pillow": _resize_pillow, "pillow_box": _resize_pillow, "torch": _resize_torch, "opencv": _resize_opencv}
)
_INTERPOLATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pillow": tuple(PILLOW_FILTERS),
        "pillow_box": tuple(PILLOW_FILTERS),
        "torch": TORCH_MODES,
        "opencv": tuple(OPENCV_FLAGS),
    }
)
