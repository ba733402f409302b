"""Markers are read as the standard lays them out, and cuts are noticed."""

from __future__ import annotations

import numpy as np
import pytest

from inference_core.errors import DecodeError, TooLargeError
from inference_core.images.jpeg_header import has_whole_scans, read_jpeg_header


@pytest.fixture(scope="module")
def photo(scene, encode):
    return encode(scene(37, 53), "JPEG")


@pytest.mark.parametrize(
    ("options", "marker", "components"),
    [
        ({}, 0xC0, 3),
        ({"progressive": True}, 0xC2, 3),
        ({"mode": "L"}, 0xC0, 1),
        ({"mode": "CMYK"}, 0xC0, 4),
        ({"restart_marker_blocks": 2}, 0xC0, 3),
    ],
    ids=["baseline", "progressive", "gray", "cmyk", "restarts"],
)
def test_what_the_header_says(scene, encode, options, marker, components):
    data = encode(scene(37, 53), "JPEG", **options)
    header = read_jpeg_header(data)
    assert (header.height, header.width, header.bits) == (37, 53, 8)
    assert (header.frame_marker, header.num_components) == (marker, components)
    assert header.is_regular
    assert has_whole_scans(data, header.scan_offset)


def test_no_cut_counts_as_whole(scene, encode):
    data = encode(scene(16, 16), "JPEG", progressive=True)
    offset = read_jpeg_header(data).scan_offset
    assert not any(has_whole_scans(data[:end], offset) for end in range(offset, len(data)))


def test_bytes_after_the_end_do_not_matter(photo):
    assert has_whole_scans(photo + b"\0\xff\xd8trailer", read_jpeg_header(photo).scan_offset)


def test_a_stray_marker_is_not_whole(photo):
    offset = read_jpeg_header(photo).scan_offset
    broken = photo[: offset + 40] + b"\xff\xc0" + photo[offset + 42 :]
    assert not has_whole_scans(broken, offset)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:2] + b"\0\0" + data[2:],
        lambda data: data[:2] + b"\xff" + data[2:],
        lambda data: data[:2] + b"\xff\xd8" + data[2:],
        lambda data: data.replace(b"\xff\xc0", b"\xff\xc0\0\x09\x08\0\x10\0\x10\x01\x01\xff\xc0", 1),
    ],
    ids=["junk", "fill", "second-start", "second-frame"],
)
def test_odd_headers_are_read_but_not_regular(photo, change):
    header = read_jpeg_header(change(photo))
    assert not header.is_regular
    assert header.width > 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xd8\xff", "must have a scan"),
        (b"\xff\xd8\xff\xe0\xff\xff\0\0", "must have a scan"),
        (b"\xff\xd8\xff\xda\0\x08", "must have a frame header"),
        (b"\xff\xd8" + bytes(70_000) + b"\xff\xe0\0\x02", "segments must follow each other"),
        (b"\xff\xd8" + b"\xff" * 70_000, "segments must follow each other"),
        (b"\xff\xd8" + b"\xff\xe0\0\x02" * 10_001, "segments must follow each other"),
    ],
    ids=["signature", "segment-past-the-end", "scan-first", "junk", "fill", "many-segments"],
)
def test_headers_without_an_image(data, message):
    with pytest.raises(DecodeError, match=message):
        read_jpeg_header(data)


def test_too_many_scans_are_refused():
    scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0"
    assert has_whole_scans(scan * 200 + b"\xff\xd9", 0)
    with pytest.raises(TooLargeError, match="jpeg scans must be at most 200"):
        has_whole_scans(scan * 201 + b"\xff\xd9", 0)


def test_orientation_comes_from_exif_then_xmp(scene, encode):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    assert read_jpeg_header(encode(scene(8, 8), "JPEG", exif=exif)).orientation == 6
    assert read_jpeg_header(encode(scene(8, 8), "JPEG", xmp=b'<a tiff:Orientation="3"/>')).orientation == 3
    both = encode(scene(8, 8), "JPEG", exif=exif, xmp=b'<a tiff:Orientation="3"/>')
    assert read_jpeg_header(both).orientation == 6


def test_multi_picture_files_state_their_images(scene, encode):
    from PIL import Image

    frames = [Image.fromarray(scene(8, 8)), Image.fromarray(np.zeros((8, 8, 3), np.uint8))]
    data = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert read_jpeg_header(data).num_images == 2
    with_gain_map = encode(frames[0], "MPO", save_all=True, append_images=frames[1:], xmp=b'<a hdrgm:Version="1.0"/>')
    assert read_jpeg_header(with_gain_map).num_images == 1
