"""Width, height and frame count from the headers of PNG, GIF, BMP, WebP and AVIF, before a decoder sees them.

Needed because some decoders allocate their canvas when they open a file. A header that cannot be read gives None:
the decoder then has the say, and its own size is checked before it loads.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from inference_core.images.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """What a header states."""

    width: int
    height: int
    num_frames: int = 1
    """Frames; counted for GIF only, whose header does not state them."""


def read_canvas(data: bytes, format_name: str, limits: Limits) -> Canvas | None:
    """The canvas of a file, None where its header is too short or the format is not one of these.

    Raises:
        TooLargeError: a GIF of over ``max_frames`` frames.
    """
    readers = {"png": _read_png, "bmp": _read_bmp, "webp": _read_webp, "avif": _read_avif}
    try:
        return _read_gif(data, limits) if format_name == "gif" else readers[format_name](data)
    except (KeyError, struct.error, IndexError):
        return None


def _read_png(data: bytes) -> Canvas | None:
    if data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">LL", data, 16)
    return Canvas(width=width, height=height)


def _read_bmp(data: bytes) -> Canvas:
    if struct.unpack_from("<L", data, 14)[0] == 12:  # the header of OS/2 1.x
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ll", data, 18)
    return Canvas(width=abs(width), height=abs(height))


def _read_webp(data: bytes) -> Canvas | None:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return Canvas(width=int.from_bytes(data[24:27], "little") + 1, height=int.from_bytes(data[27:30], "little") + 1)
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<L", data, 21)
        return Canvas(width=(bits & 0x3FFF) + 1, height=(bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack_from("<HH", data, 26)
    return Canvas(width=width & 0x3FFF, height=height & 0x3FFF) if chunk == b"VP8 " else None


def _read_avif(data: bytes) -> Canvas | None:
    """The largest of the image extents (``ispe`` boxes) in the ``meta`` box."""
    start, end = _find_box(data, b"meta")
    sizes = []
    found = data.find(b"ispe", start, end)
    while found >= 0:
        sizes.append(struct.unpack_from(">LL", data, found + 8))
        found = data.find(b"ispe", found + 4, end)
    if not sizes:
        return None
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return Canvas(width=width, height=height)


def _find_box(data: bytes, kind: bytes) -> tuple[int, int]:
    """Start and end of the first top-level box of a kind; (0, 0) where there is none."""
    offset = 0
    while offset + 8 <= len(data):
        size, found = struct.unpack_from(">L4s", data, offset)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, offset + 8)
        if found == kind:
            return offset, offset + size if size else len(data)
        if size < 8:
            break
        offset += size
    return 0, 0


def _read_gif(data: bytes, limits: Limits) -> Canvas:
    """The smallest canvas that holds the screen and every frame, and the number of frames.

    Walks the blocks without decoding; stops where the data ends.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    offset, num_frames = 13 + _color_table_bytes(flags), 0
    while offset < len(data):
        introducer = data[offset]
        if introducer == 0x21 and offset + 2 < len(data):  # extension: label, then sub-blocks
            offset = _skip_sub_blocks(data, offset + 2)
        elif introducer == 0x2C and offset + 10 < len(data):  # image: rectangle, flags, table, code size, sub-blocks
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, offset + 1)
            width, height, num_frames = max(width, left + wide), max(height, top + high), num_frames + 1
            limits.check_frames(num_frames)
            offset = _skip_sub_blocks(data, offset + 11 + _color_table_bytes(flags))
        else:
            break
    return Canvas(width=width, height=height, num_frames=max(num_frames, 1))


def _color_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset]:
        offset += 1 + data[offset]
    return offset + 1
