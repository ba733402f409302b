"""The format of some bytes, by their signature and never by a file name."""

from __future__ import annotations

from inference_core.errors import DecodeError, UnsupportedError

SUPPORTED_FORMATS = ("jpeg", "png", "tiff", "webp", "bmp", "gif", "npy", "avif")
"""Formats that are decoded, as ``DecodedImage.format`` names them."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
    (b"BM", "bmp"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x93NUMPY", "npy"),
)
_OTHER_SIGNATURES = (
    (b"\0\0\0\x0cjP  ", "jp2"),
    (b"\xff\x4f\xff\x51", "j2k"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\xff\x0a", "jxl"),
    (b"DDS ", "dds"),
    (b"BLP1", "blp"),
    (b"BLP2", "blp"),
    (b"\x01\xda", "sgi"),
    (b"\x0a\x05\x01", "pcx"),
    (b"\0\0\x01\0", "ico"),
    (b"8BPS", "psd"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"SIMPLE  =", "fits"),
    (b"%PDF", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\x1a\x45\xdf\xa3", "matroska video"),
    (b"\x89HDF", "hdf5"),
    (b"PAR1", "parquet"),
)
_TEXT_STARTS = ((b"<!doctype html", "html"), (b"<html", "html"), (b"<svg", "svg"), (b"<", "xml"), (b"{", "json"))
_NETPBM_TYPES = b"1234567fF"


def sniff(data: bytes) -> str:
    """Name the format of encoded bytes, one of ``SUPPORTED_FORMATS``.

    Raises:
        DecodeError: there are none.
        UnsupportedError: the bytes are something else; the message says what they look like.
    """
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    kind = _iso_media_kind(data)
    if kind == "avif":
        return "avif"
    if not data:
        raise DecodeError("image must have bytes, got an empty file; fetch or write it again")
    found = kind or _describe_other(data)
    raise UnsupportedError(
        f"image bytes must be {', '.join(SUPPORTED_FORMATS)}, got {found}; convert the file or leave it out"
    )


def _iso_media_kind(data: bytes) -> str:
    """What an ISO base media file (``ftyp`` box) holds: avif, heic or mp4; "" for other bytes."""
    if data[4:8] != b"ftyp":
        return ""
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    brands = {box[i : i + 4] for i in range(0, len(box), 4)}
    if brands & {b"avif", b"avis"}:
        return "avif"
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return "heic"
    return "mp4"


def _describe_other(data: bytes) -> str:
    for signature, name in _OTHER_SIGNATURES:
        if data.startswith(signature):
            return name
    if data[4:6] in (b"\x11\xaf", b"\x12\xaf"):
        return "fli"
    if data[128:132] == b"DICM":
        return "dicom"
    if data[:1] == b"P" and data[1:2] in _NETPBM_TYPES:
        return "netpbm"
    text = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, name in _TEXT_STARTS:
        if text.startswith(start):
            return name
    return f"unknown bytes {data[:8].hex(' ')}"
