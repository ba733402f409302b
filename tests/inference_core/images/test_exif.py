"""The EXIF reader agrees with Pillow and survives anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference_core.images.exif import ORIENTATION_TAG, read_integer_tag, read_orientation, valid_orientation

XMP = b'<x:xmpmeta tiff:Orientation="6"/>'


def exif_block(orientation: int, *, endian: str = "<", maker: str = "camera") -> bytes:
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = maker
    exif[ORIENTATION_TAG] = orientation
    exif[0x0131] = "software of a name that does not fit inline"
    return exif.tobytes()


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_pillows_blocks(orientation, endian):
    block = exif_block(orientation, endian=endian)
    assert read_orientation(block, b"") == orientation
    assert read_orientation(block.removeprefix(b"Exif\0\0"), b"") == orientation


@pytest.mark.parametrize(
    ("exif", "xmp", "expected"),
    [
        (b"", b"", 1),
        (b"", XMP, 6),
        (b"", b"<tiff:Orientation>8</tiff:Orientation>", 8),
        (b"", b'tiff:Orientation="0"', 1),
        (exif_block(3), XMP, 3),
        (exif_block(9), XMP, 1),
        (b"Exif\0\0junk", b"", 1),
        (b"MM\0*\xff\xff\xff\xff", b"", 1),
    ],
    ids=["none", "xmp", "xmp-element", "xmp-0", "exif-first", "exif-invalid", "junk", "far-offset"],
)
def test_where_the_orientation_comes_from(exif, xmp, expected):
    assert read_orientation(exif, xmp) == expected


@pytest.mark.parametrize("value", [0, 9, -1, None, "3", 3.0])
def test_what_is_no_orientation_is_1(value):
    assert valid_orientation(value) == 1


@given(st.binary(max_size=60), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_any_block_is_read_or_has_no_value(tail, head):
    value = read_integer_tag(head + tail, ORIENTATION_TAG)
    assert value is None or isinstance(value, int)


@given(st.integers(0, 400), st.integers(0, 255))
def test_damaged_blocks_never_raise(position, byte):
    block = bytearray(exif_block(6))
    block[position % len(block)] = byte
    assert 1 <= read_orientation(bytes(block), b"") <= 8
    assert 1 <= read_orientation(bytes(block[: position % len(block)]), b"") <= 8
