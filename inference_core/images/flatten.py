"""Any Pillow image as 8-bit RGB: alpha, palettes, CMYK, LAB and deep gray."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from inference_core.errors import UnsupportedError
from inference_core.images.depth import scale_to_uint8
from inference_core.images.policy import DecodePolicy
from inference_core.records import Uint8Array

_DIRECT_MODES = frozenset({"1", "L", "P", "RGB", "RGBX", "YCbCr", "HSV"})
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


def flatten_to_rgb(image: Image.Image, policy: DecodePolicy) -> Uint8Array:
    """Convert a loaded image of any mode.

    Args:
        image: Pillow image; not modified.
        policy: ``alpha``, ``cmyk`` and ``depth`` are used.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UnsupportedError: the mode, or its values under this policy, have no meaning as RGB.
    """
    if image.mode in _DEEP_MODES:
        return _flatten_deep(image, policy)
    if image.has_transparency_data:
        return flatten_alpha(image, policy)
    if image.mode == "CMYK":
        return _pixels(_convert_cmyk(image, policy))
    if image.mode == "LAB":
        return _pixels(_convert_lab(image))
    if image.mode not in _DIRECT_MODES:
        raise UnsupportedError(f"pixel mode must be convertible to RGB, got {image.mode}; convert the file")
    return _pixels(image if image.mode == "RGB" else image.convert("RGB"))


def flatten_alpha(image: Image.Image, policy: DecodePolicy) -> Uint8Array:
    """(H, W, 3) uint8 of an image with alpha or a transparent colour, as ``policy.alpha`` says."""
    straight = image.convert("LA") if image.mode == "La" else image
    rgba = straight if straight.mode == "RGBA" else straight.convert("RGBA")
    if policy.alpha == "drop":
        return _pixels(rgba.convert("RGB"))
    canvas = Image.new("RGB", rgba.size, policy.alpha)
    canvas.paste(rgba, mask=rgba)
    return _pixels(canvas)


def _flatten_deep(image: Image.Image, policy: DecodePolicy) -> Uint8Array:
    values = np.asarray(image)
    gray = scale_to_uint8(values, depth=policy.depth)
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int) or policy.alpha == "drop":
        return np.repeat(gray[:, :, None], 3, axis=2)
    background = 255 if policy.alpha == "white" else 0
    return np.repeat(np.where(values == transparent, np.uint8(background), gray)[:, :, None], 3, axis=2)


def _convert_cmyk(image: Image.Image, policy: DecodePolicy) -> Image.Image:
    profile = image.info.get("icc_profile")
    if policy.cmyk == "naive" or not profile:
        return image.convert("RGB")
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a broken profile, or one of another colour space
        return image.convert("RGB")
    return converted or image.convert("RGB")


def _convert_lab(image: Image.Image) -> Image.Image:
    """CIE L*a*b* under D50, as TIFF and ICC define it."""
    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    return ImageCms.applyTransform(image, transform) or image.convert("RGB")


def _pixels(image: Image.Image) -> Uint8Array:
    return np.asarray(image)
