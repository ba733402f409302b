"""Files that a real folder holds and that are no images: each has to become an error row, not the end of a job."""

from __future__ import annotations

import struct
import zlib

from cellgen.files import FILE_FORMATS
from cellgen.sample import draw_sample

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
HUGE_SIDE_PX = 100_000
WEB_PAGE = b"<!DOCTYPE html><html><head><title>404</title></head><body><h1>Not found</h1></body></html>\n"


def build_hostile_files(*, seed: int) -> dict[str, bytes]:
    """File names and contents: cut off in the middle, empty, a web page, and a header that claims 10 gigapixels."""
    encode = {file_format.name: file_format.encode for file_format in FILE_FORMATS}
    light = draw_sample(seed=seed, index=0, gray=False).light
    jpeg = encode["jpeg"](light)
    return {
        "bad_cut_off.jpg": jpeg[: len(jpeg) // 2],
        "bad_empty.png": b"",
        "bad_web_page.jpg": WEB_PAGE,
        "bad_huge.png": claim_size(encode["png8"](light[:8, :8]), side_px=HUGE_SIDE_PX),
    }


def claim_size(png: bytes, *, side_px: int) -> bytes:
    """Rewrite the header of a PNG so that it claims to be ``side_px`` square."""
    kind_and_size = b"IHDR" + struct.pack(">II", side_px, side_px)
    rest = png[len(PNG_SIGNATURE) + 16 : len(PNG_SIGNATURE) + 21]
    chunk = kind_and_size + rest
    after = png[len(PNG_SIGNATURE) + 25 :]
    return PNG_SIGNATURE + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + after
