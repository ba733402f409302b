"""Deep samples of a TIFF page through tifffile, behind checks that bound what it may allocate."""

from __future__ import annotations

import io
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.tiff_header import TiffPage

TIFFFILE_COMPRESSIONS = frozenset({1, 8, 32946})
"""None, deflate, and deflate's older number: what tifffile reads without further libraries."""

_UNCOMPRESSED = 1
_SAMPLE_BITS = (8, 16, 32, 64)
_MAX_SAMPLES = 4
_TILE_MULTIPLE = 16


def read_samples(data: bytes, page: TiffPage, page_index: int) -> NDArray[Any]:
    """The samples of a page as they are stored, predictor undone.

    Args:
        data: the whole file.
        page: its header; the size is within the limits.
        page_index: from 0.

    Returns:
        (H, W) or (H, W, C) of the stored type, native or file byte order.

    Raises:
        UnsupportedError: a number of samples or bits that is no image here.
        DecodeError: strips or tiles that are missing, lie outside the file or inflate to another size.

    Cost: deflated segments are inflated twice, once bounded as a check.
    """
    _check_samples(page)
    _check_segments(data, page)
    from tifffile import TiffFile  # takes 0.1 s and few files need it

    with TiffFile(io.BytesIO(data)) as file:
        samples: NDArray[Any] = file.pages[page_index].asarray(maxworkers=1)
    if page.is_planar and page.num_samples > 1:
        samples = np.moveaxis(samples, 0, -1)
    expected = (page.height, page.width) + ((page.num_samples,) if page.num_samples > 1 else ())
    if samples.shape != expected:
        raise UnsupportedError(f"tiff page must be {list(expected)}, got {list(samples.shape)}; convert it")
    return samples


def _check_samples(page: TiffPage) -> None:
    bits = set(page.bits)
    if page.num_samples not in (1, 3, _MAX_SAMPLES):
        raise UnsupportedError(f"tiff samples per pixel must be 1, 3 or 4, got {page.num_samples}; convert it")
    if len(bits) != 1 or page.bits[0] not in _SAMPLE_BITS or page.sample_format not in (1, 2, 3):
        found = f"{'/'.join(map(str, page.bits[:_MAX_SAMPLES]))} bits of format {page.sample_format}"
        raise UnsupportedError(f"tiff samples must be 8, 16, 32 or 64 bits of one number type, got {found}; convert it")


def _check_segments(data: bytes, page: TiffPage) -> None:
    """Raise unless the strips or tiles cover the page, lie inside the file and inflate to no more than they may."""
    high, wide = page.segment_hw
    if min(high, wide) < 1 or (page.is_tiled and (high % _TILE_MULTIPLE or wide % _TILE_MULTIPLE)):
        raise DecodeError(f"tiff tiles must be multiples of 16 pixels, got {wide}x{high}; replace the file")
    planes = page.num_samples if page.is_planar else 1
    needed = math.ceil(page.height / high) * math.ceil(page.width / wide) * planes
    if len(page.segments) != needed:
        raise DecodeError(f"tiff page must have {needed} strips or tiles, got {len(page.segments)}; replace the file")
    most = high * wide * (page.num_samples // planes) * page.bits[0] // 8
    smallest = most if page.compression == _UNCOMPRESSED and page.is_tiled else 1
    for offset, num_bytes in page.segments:
        if num_bytes < smallest or offset + num_bytes > len(data):
            raise DecodeError("tiff strips and tiles must lie inside the file, got one outside; replace the file")
        if page.compression != _UNCOMPRESSED:
            _check_inflated(data[offset : offset + num_bytes], most)


def _check_inflated(segment: bytes, most: int) -> None:
    if len(zlib.decompressobj().decompress(segment, most + 1)) > most:
        raise DecodeError(f"tiff strip or tile must inflate to at most {most} bytes, got more; replace the file")
