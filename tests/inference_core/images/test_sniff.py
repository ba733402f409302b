"""Formats are told by signature, and what is not read is named."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.sniff import SUPPORTED_FORMATS, sniff

OTHERS = [
    (b"\0", "unknown bytes 00"),
    (b"<!DOCTYPE html><html>", "html"),
    (b"\xef\xbb\xbf \n<HTML>", "html"),
    (b"<svg xmlns=''>", "svg"),
    (b"<?xml version='1.0'?><Error/>", "xml"),
    (b'{"error": 1}', "json"),
    (b"PK\x03\x04rest", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"%PDF-1.7", "pdf"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "j2k"),
    (b"\xff\x0a", "jxl"),
    (b"DDS |", "dds"),
    (b"BLP2", "blp"),
    (b"\x01\xda\x01", "sgi"),
    (b"\x0a\x05\x01\x08", "pcx"),
    (b"\0\0\x01\0", "ico"),
    (b"8BPS", "psd"),
    (b"P6 2 2 255", "netpbm"),
    (b"\xc8\0\0\0\x11\xaf", "fli"),
    (bytes(128) + b"DICM", "dicom"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heic"),
    (b"\0\0\0\x18ftypisom\0\0\0\0mp41isom", "mp4"),
]


def encode(name: str) -> bytes:
    buffer = io.BytesIO()
    if name == "npy":
        np.save(buffer, np.zeros((2, 2), np.uint8))
    else:
        Image.new("RGB", (2, 2)).save(buffer, name)
    return buffer.getvalue()


@pytest.mark.parametrize("name", SUPPORTED_FORMATS)
def test_real_encodings_are_named(name):
    assert sniff(encode(name)) == name


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_big", [False, True])
def test_both_byte_orders_of_tiff_and_bigtiff(order, is_big):
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((2, 2), np.uint8), byteorder=order, bigtiff=is_big)
    assert sniff(buffer.getvalue()) == "tiff"


@pytest.mark.parametrize("brands", [b"avif\0\0\0\0avifmif1", b"mif1\0\0\0\0mif1avif", b"avis\0\0\0\0msf1avis"])
def test_avif_is_found_in_any_place_of_the_brands(brands):
    assert sniff((8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands) == "avif"


@pytest.mark.parametrize(("data", "found"), OTHERS, ids=[found for _, found in OTHERS])
def test_other_bytes_are_refused_by_name(data, found):
    with pytest.raises(UnsupportedError, match=f"image bytes must be jpeg, png, .*, got {found}; convert"):
        sniff(data)


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_give_a_format_or_unsupported(data):
    try:
        assert sniff(data) in SUPPORTED_FORMATS
    except UnsupportedError as error:
        assert " got " in str(error)  # noqa: PT017 both outcomes are right


def test_no_bytes_are_a_damaged_image_not_another_format() -> None:
    with pytest.raises(DecodeError, match="image must have bytes, got an empty file; fetch or write it again"):
        sniff(b"")
