"""Writes drawn images in the file formats that microscopes and people produce."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cellgen.outline import FloatArray

ORIENTATION_TAG = 0x0112
TURNED_LEFT = 6
"""EXIF orientation of pixels that a viewer has to turn a quarter clockwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """A way to store a sample."""

    name: str
    suffix: str
    gray: bool | None
    """Whether it holds one channel or three; None takes both."""
    encode: Callable[[FloatArray], bytes]
    """(H, W) or (H, W, 3) float32 in [0, 1] -> file content."""


def to_uint8(light: FloatArray) -> NDArray[np.uint8]:
    """Scale [0, 1] to 0..255."""
    return np.rint(light * 255).astype(np.uint8)


def to_uint16(light: FloatArray) -> NDArray[np.uint16]:
    """Scale [0, 1] to 0..65535."""
    return np.rint(light * 65535).astype(np.uint16)


def encode_png8(light: FloatArray) -> bytes:
    """PNG of 8 bits a channel."""
    return _save(to_uint8(light), "PNG", compress_level=1)


def encode_png16(light: FloatArray) -> bytes:
    """PNG of 16 bits, one channel."""
    return _save(to_uint16(light), "PNG", compress_level=1)


def encode_jpeg(light: FloatArray) -> bytes:
    """JPEG of quality 92."""
    return _save(to_uint8(light), "JPEG", quality=92)


def encode_turned_jpeg(light: FloatArray) -> bytes:
    """JPEG whose pixels lie on their side, with the EXIF tag that says so."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = TURNED_LEFT
    return _save(np.rot90(to_uint8(light)), "JPEG", quality=92, exif=exif)


def encode_tiff16(light: FloatArray) -> bytes:
    """TIFF of 16 bits, one channel, deflated."""
    return _save(to_uint16(light), "TIFF", compression="tiff_adobe_deflate")


def encode_tiff8(light: FloatArray) -> bytes:
    """TIFF of 8 bits, not compressed."""
    return _save(to_uint8(light), "TIFF")


def encode_bmp(light: FloatArray) -> bytes:
    """Windows bitmap."""
    return _save(to_uint8(light), "BMP")


def encode_webp(light: FloatArray) -> bytes:
    """Lossless WebP."""
    return _save(to_uint8(light), "WEBP", lossless=True, quality=0, method=0)


def encode_gif(light: FloatArray) -> bytes:
    """GIF with a grey palette, which loses nothing of a grey image."""
    return _save(to_uint8(light), "GIF")


def encode_mask(truth: NDArray[np.uint8]) -> bytes:
    """PNG whose values are class ids."""
    return _save(truth, "PNG")


FILE_FORMATS = (
    FileFormat(name="png8", suffix=".png", gray=None, encode=encode_png8),
    FileFormat(name="png16", suffix=".png", gray=True, encode=encode_png16),
    FileFormat(name="jpeg", suffix=".jpg", gray=None, encode=encode_jpeg),
    FileFormat(name="jpeg-turned", suffix=".jpg", gray=False, encode=encode_turned_jpeg),
    FileFormat(name="tiff16", suffix=".tif", gray=True, encode=encode_tiff16),
    FileFormat(name="tiff8", suffix=".tif", gray=False, encode=encode_tiff8),
    FileFormat(name="bmp", suffix=".bmp", gray=None, encode=encode_bmp),
    FileFormat(name="webp", suffix=".webp", gray=False, encode=encode_webp),
    FileFormat(name="gif", suffix=".gif", gray=True, encode=encode_gif),
)
"""Image ``index`` of a collection is stored in format ``index % len(FILE_FORMATS)``."""


def _save(pixels: NDArray[np.uint8] | NDArray[np.uint16], format_name: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format_name, **options)
    return buffer.getvalue()
