"""Directories are read as tifffile and Pillow read them, and broken ones end the chain."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.errors import DecodeError, InputError, TooLargeError
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy
from inference_core.images.tiff_header import read_tiff_page


def written(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(
        buffer, byteorder=options.pop("byteorder", "<"), bigtiff=options.pop("bigtiff", False)
    ) as file:
        for page in array if options.pop("pages", False) else [array]:
            file.write(page, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize(
    ("shape", "dtype", "options"),
    [
        ((1, 1), "u1", {}),
        ((40, 50), "u2", {"photometric": "miniswhite"}),
        ((40, 50, 3), "u2", {"photometric": "rgb", "rowsperstrip": 7}),
        ((3, 40, 50), "f4", {"photometric": "rgb", "planarconfig": "separate"}),
        ((40, 50, 4), "u1", {"photometric": "rgb", "extrasamples": ["assocalpha"], "tile": (16, 32)}),
        ((40, 50), "i2", {"compression": "zlib", "predictor": True}),
    ],
    ids=["1x1", "white-is-zero", "rgb16", "planar-float", "tiled-alpha", "deflate"],
)
def test_equals_tifffile(byteorder, bigtiff, shape, dtype, options):
    data = written(np.zeros(shape, dtype), byteorder=byteorder, bigtiff=bigtiff, **options)
    page, num_pages = read_tiff_page(data, DecodePolicy(), Limits())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        theirs = file.pages[0]
        assert num_pages == len(file.pages) == 1
        assert (page.width, page.height) == (theirs.imagewidth, theirs.imagelength)
        assert set(page.bits) == {theirs.bitspersample}
        assert page.num_samples == theirs.samplesperpixel
        assert (page.compression, page.photometric) == (theirs.compression, theirs.photometric)
        assert page.is_planar == (theirs.planarconfig == 2)
        assert page.sample_format == theirs.sampleformat
        assert page.extra_samples == theirs.extrasamples
        assert page.is_tiled == theirs.is_tiled
        assert page.is_big_endian == (byteorder == ">")
        assert page.segments == tuple(zip(theirs.dataoffsets, theirs.databytecounts, strict=True))


def test_pages_are_counted_and_chosen():
    data = written(np.zeros((5, 4, 3), np.uint8), pages=True)
    assert read_tiff_page(data, DecodePolicy(page=4), Limits())[1] == 5
    with pytest.raises(DecodeError, match="page must be less than 5, got 5; this image has 5"):
        read_tiff_page(data, DecodePolicy(page=5), Limits())
    with pytest.raises(TooLargeError, match="number of frames must be at most 4, got 5"):
        read_tiff_page(data, DecodePolicy(), Limits(max_frames=4))


def ifd(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    return (
        struct.pack("<H", len(entries))
        + b"".join(struct.pack("<HHLL", *e) for e in entries)
        + struct.pack("<L", following)
    )


def test_a_chain_that_loops_ends():
    data = b"II*\0\x08\0\0\0" + ifd([(256, 4, 1, 5), (257, 4, 1, 6)], following=8)
    page, num_pages = read_tiff_page(data, DecodePolicy(), Limits())
    assert (page.width, page.height, num_pages) == (5, 6, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"II*\0", "tiff must have a page"),
        (b"II*\0\0\0\0\0", "tiff must have a page"),
        (b"II*\0\xff\xff\xff\xff", "tiff must have a page"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, "tiff must have a page"),
        (b"II*\0\x08\0\0\0" + ifd([(256, 4, 1, 5)]), "must state its width and height, got 5x0"),
        (b"II*\0\x08\0\0\0" + ifd([(256, 4, 1, 5), (257, 4, 2**31, 5)]), "must state its width and height"),
    ],
    ids=["short", "no-page", "far-page", "far-bigtiff", "no-height", "huge-count"],
)
def test_broken_directories(data, message):
    with pytest.raises(DecodeError, match=message):
        read_tiff_page(data, DecodePolicy(), Limits())


def test_a_bomb_is_refused_by_its_directory():
    data = b"II*\0\x08\0\0\0" + ifd([(256, 4, 1, 60_000), (257, 4, 1, 60_000)])
    with pytest.raises(TooLargeError, match="pixels of 60000x60000"):
        read_tiff_page(data, DecodePolicy(), Limits())


@settings(max_examples=200)
@given(
    st.binary(max_size=120),
    st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0" + b"\x10" + bytes(7)]),
)
def test_any_bytes_give_a_page_or_an_input_error(tail, head):
    try:
        page, num_pages = read_tiff_page(head + tail, DecodePolicy(), Limits())
    except InputError:
        return
    assert num_pages >= 1
    assert page.width >= 1
