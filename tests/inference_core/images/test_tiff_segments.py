"""What tifffile may see is bounded by checks on the directory and the segments."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy
from inference_core.images.tiff_header import read_tiff_page
from inference_core.images.tiff_segments import read_samples

ARRAY = np.arange(32 * 48 * 3, dtype=np.uint16).reshape(32, 48, 3)


def written(array=ARRAY, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, photometric="rgb", **options)
    return buffer.getvalue()


def read(data: bytes, **changes) -> np.ndarray:
    page, _ = read_tiff_page(data, DecodePolicy(), Limits())
    return read_samples(data, replace(page, **changes), 0)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"rowsperstrip": 5}], ids=str)
def test_samples_come_back(options):
    np.testing.assert_array_equal(read(written(**options)), ARRAY)


def test_planes_come_last():
    data = written(np.ascontiguousarray(np.moveaxis(ARRAY, -1, 0)), planarconfig="separate")
    np.testing.assert_array_equal(read(data), ARRAY)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"num_samples": 5}, UnsupportedError, "samples per pixel must be 1, 3 or 4, got 5"),
        ({"bits": (16, 16, 12)}, UnsupportedError, "of one number type, got 16/16/12 bits of format 1"),
        ({"bits": (24,)}, UnsupportedError, "must be 8, 16, 32 or 64 bits"),
        ({"sample_format": 5}, UnsupportedError, "bits of format 5"),
        ({"segments": ()}, DecodeError, "must have 1 strips or tiles, got 0"),
        ({"segments": ((10**9, 10),)}, DecodeError, "must lie inside the file"),
        ({"segments": ((8, 0),)}, DecodeError, "must lie inside the file"),
        ({"segment_hw": (0, 48)}, DecodeError, "must be multiples of 16 pixels, got 48x0"),
        ({"segment_hw": (1, 1), "is_tiled": True}, DecodeError, "must be multiples of 16 pixels, got 1x1"),
        ({"height": 30, "segment_hw": (30, 48)}, UnsupportedError, r"tiff page must be \[30, 48, 3\]"),
    ],
    ids=[
        "samples",
        "mixed-bits",
        "bits",
        "complex",
        "no-strips",
        "outside",
        "empty-strip",
        "no-rows",
        "tiny-tiles",
        "other-size",
    ],
)
def test_directories_that_do_not_fit(changes, error, message):
    with pytest.raises(error, match=message):
        read(written(), **changes)


def test_a_strip_that_inflates_to_more_than_its_pixels_is_refused():
    bomb = zlib.compress(bytes(100_000_000), 9)
    honest = written(compression="zlib")
    page, _ = read_tiff_page(honest, DecodePolicy(), Limits())
    data = honest + bomb
    with pytest.raises(DecodeError, match="must inflate to at most 9216 bytes, got more"):
        read_samples(data, replace(page, segments=((len(honest), len(bomb)),)), 0)
