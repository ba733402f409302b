"""TIFF: through Pillow, and through tifffile for what Pillow would reduce or does not read.

Pillow reads 8-bit pages of every kind and unsigned gray of 12 and 16 bits. Other deep pages (16-bit RGB, float, signed,
planar) go to tifffile, which reads them uncompressed or deflated here; for other compressions Pillow is asked. Pillow
leaves compressed big-endian samples of signed, 32-bit and float types in the wrong byte order: those are refused.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from inference_core.errors import UnsupportedError
from inference_core.images.array_pixels import array_to_rgb
from inference_core.images.flatten import flatten_to_rgb
from inference_core.images.geo_tags import read_geo_tags
from inference_core.images.limits import Limits
from inference_core.images.orientation import apply_orientation, undo_orientation
from inference_core.images.pillow_decoder import load_page
from inference_core.images.policy import DecodePolicy
from inference_core.images.tiff_header import TiffPage, read_tiff_page
from inference_core.images.tiff_segments import TIFFFILE_COMPRESSIONS, read_samples
from inference_core.records import DecodedImage, Uint8Array

_WHITE_IS_ZERO = 0
_GRAY_OR_RGB = (0, 1, 2)  # photometric interpretations
_ASSOCIATED_ALPHA = 1
_UNSIGNED = 1
_PILLOW_GRAY = frozenset({(12, _UNSIGNED), (16, _UNSIGNED)})  # bits and sample format
_PILLOW_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000})
_COMPRESSION_NAMES = {
    9: "jbig",
    34712: "jpeg 2000",
    34887: "lerc",
    50001: "webp",
    50002: "jpeg xl",
    52546: "jpeg xl",
}
_GRAY_TYPES = {(12, 1): "u2", (16, 1): "u2", (16, 2): "i2", (32, 1): "u4", (32, 2): "i4", (32, 3): "f4"}
"""Deep gray that Pillow reads without loss: bits and sample format → dtype."""


def decode_tiff(data: bytes, *, policy: DecodePolicy, limits: Limits) -> DecodedImage:
    """Decode one page of a TIFF or BigTIFF.

    Raises:
        InputError: see ``decode_image``.
    """
    page, num_pages = read_tiff_page(data, policy, limits)
    if page.compression not in _PILLOW_COMPRESSIONS:
        name = _COMPRESSION_NAMES.get(page.compression, "unknown")
        raise UnsupportedError(
            f"tiff compression must be one that is read, got {name} ({page.compression}); convert it"
        )
    decode = _decode_with_tifffile if _needs_tifffile(page) else _decode_with_pillow
    decoded = decode(data, page, num_pages, policy, limits)
    is_turned = policy.apply_orientation and page.orientation != 1
    return replace(decoded, geo_tags=read_geo_tags(data, policy.page)) if page.is_geo and not is_turned else decoded


def _needs_tifffile(page: TiffPage) -> bool:
    bits = max(page.bits)
    if (
        bits <= 8
        or page.photometric not in _GRAY_OR_RGB
        or (page.num_samples == 1 and (bits, page.sample_format) in _PILLOW_GRAY)
    ):
        return False
    if page.compression in TIFFFILE_COMPRESSIONS:
        return True
    if page.is_big_endian and (bits > 16 or page.sample_format != _UNSIGNED):
        found = f"compression {page.compression}"
        raise UnsupportedError(
            f"big-endian {bits}-bit tiff of this type must be uncompressed or deflated, got {found}; convert it"
        )
    return False


def _decode_with_tifffile(
    data: bytes, page: TiffPage, num_pages: int, policy: DecodePolicy, limits: Limits
) -> DecodedImage:
    is_premultiplied = page.extra_samples[:1] == (_ASSOCIATED_ALPHA,)
    pixels = array_to_rgb(read_samples(data, page, policy.page), policy, is_premultiplied=is_premultiplied)
    if page.photometric == _WHITE_IS_ZERO:
        pixels = 255 - pixels
    return DecodedImage(
        pixels=apply_orientation(pixels, page.orientation) if policy.apply_orientation else pixels,
        format="tiff",
        decoder="tifffile",
        orientation=page.orientation,
        page=policy.page,
        num_pages=num_pages,
    )


def _decode_with_pillow(
    data: bytes, page: TiffPage, num_pages: int, policy: DecodePolicy, limits: Limits
) -> DecodedImage:
    with TiffImagePlugin.TiffImageFile(io.BytesIO(data)) as image:
        load_page(image, policy.page, limits)
        pixels = _flatten(image, page, policy)
    return DecodedImage(  # Pillow has turned it upright while loading
        pixels=pixels if policy.apply_orientation else undo_orientation(pixels, page.orientation),
        format="tiff",
        decoder="pillow",
        orientation=page.orientation,
        page=policy.page,
        num_pages=num_pages,
    )


def _flatten(image: Image.Image, page: TiffPage, policy: DecodePolicy) -> Uint8Array:
    bits = max(page.bits)
    stored = _GRAY_TYPES.get((bits, page.sample_format))
    if stored is None or page.num_samples > 1:
        return flatten_to_rgb(image, policy)
    values = _as_stored(np.asarray(image), np.dtype(stored))
    pixels = array_to_rgb(values, policy, bits=bits if values.dtype.kind == "u" else None)
    return 255 - pixels if page.photometric == _WHITE_IS_ZERO else pixels


def _as_stored(values: NDArray[Any], stored: np.dtype[Any]) -> NDArray[Any]:
    """The type that the file states; Pillow keeps 32-bit unsigned values in a signed type, bit for bit."""
    return values.view(stored) if stored.str[1:] == "u4" else values.astype(stored, copy=False)
