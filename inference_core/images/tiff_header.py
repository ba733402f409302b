"""What the directories of a TIFF or BigTIFF say about its pages, read before a decoder sees the file.

Source: TIFF 6.0 (Adobe, 1992), section 2; the BigTIFF design (AWare Systems).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from inference_core.errors import DecodeError
from inference_core.images.exif import valid_orientation
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy

_TYPE_FORMATS = {1: "B", 3: "H", 4: "L", 16: "Q"}  # BYTE, SHORT, LONG, LONG8
_TAGS = {
    256: "width",
    257: "height",
    258: "bits",
    259: "compression",
    262: "photometric",
    273: "offsets",
    274: "orientation",
    277: "num_samples",
    278: "rows_per_strip",
    279: "byte_counts",
    284: "planar",
    322: "tile_width",
    323: "tile_height",
    324: "offsets",
    325: "byte_counts",
    338: "extra_samples",
    339: "sample_format",
    34735: "geo_keys",
}
_MAX_ENTRIES = 65_535
_MAX_VALUES = 1_000_000  # in one tag: tiles of 16 x 16 in an image of 256 million pixels
_BROKEN = (struct.error, OverflowError, IndexError)

Tags = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffPage:
    """One page. Numbers are the values that TIFF 6.0 gives the tags."""

    width: int
    height: int
    bits: tuple[int, ...]
    """Bits of each sample, as many as the file states."""
    num_samples: int
    compression: int
    photometric: int
    """0 white is zero, 1 black is zero, 2 RGB, ..."""
    is_planar: bool
    """Whether each sample has a plane of its own."""
    sample_format: int
    """1 unsigned, 2 signed, 3 float."""
    orientation: int
    extra_samples: tuple[int, ...]
    """1 premultiplied alpha, 2 plain alpha, 0 anything."""
    segment_hw: tuple[int, int]
    """Height and width of a strip or tile."""
    is_tiled: bool
    is_big_endian: bool
    segments: tuple[tuple[int, int], ...]
    """Offset and byte count of each strip or tile."""
    is_geo: bool
    """Whether it says where on Earth it lies."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a file writes numbers: ``struct`` formats and sizes."""

    order: str
    count_format: str
    offset_format: str
    entry_bytes: int


def read_tiff_page(data: bytes, policy: DecodePolicy, limits: Limits) -> tuple[TiffPage, int]:
    """The header of the page that the policy names and the number of pages.

    Returns:
        The page and how many there are. A broken chain of pages counts as far as
        it can be followed.

    Raises:
        TooLargeError: more pages than ``max_frames``, or the page is over a size limit.
        DecodeError: there is no page at all or not this one, or it states no size.
    """
    layout, first = _read_layout(data)
    offsets = _page_offsets(data, layout, first, limits)
    if not offsets:
        raise DecodeError("tiff must have a page, got a header that leads to none; replace the file")
    policy.check_page(len(offsets))
    header = _build_page(_read_tags(data, layout, offsets[policy.page]), is_big_endian=layout.order == ">")
    limits.check_size(width=header.width, height=header.height)
    return header, len(offsets)


def _read_layout(data: bytes) -> tuple[_Layout, int]:
    """The layout and the offset of the first directory, 0 where the header ends early."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    layout = _Layout(order, "Q", "Q", 20) if is_big else _Layout(order, "H", "L", 12)
    try:
        first: int = struct.unpack_from(order + layout.offset_format, data, 8 if is_big else 4)[0]
    except _BROKEN:
        first = 0
    return layout, first


def _page_offsets(data: bytes, layout: _Layout, first: int, limits: Limits) -> list[int]:
    """Offsets of the directories in order; ends at 0, at damage, or where the chain loops."""
    offsets: dict[int, None] = {}
    offset = first
    count_bytes = struct.calcsize("=" + layout.count_format)
    while offset and offset not in offsets:
        try:
            (count,) = struct.unpack_from(layout.order + layout.count_format, data, offset)
        except _BROKEN:
            break
        offsets[offset] = None
        limits.check_frames(len(offsets))
        try:
            end = offset + count_bytes + count * layout.entry_bytes
            (offset,) = struct.unpack_from(layout.order + layout.offset_format, data, end)
        except _BROKEN:
            break
    return list(offsets)


def _read_tags(data: bytes, layout: _Layout, offset: int) -> Tags:
    """Integer values of the known tags of one directory; broken ones are left out."""
    tags: Tags = {}
    (count,) = struct.unpack_from(layout.order + layout.count_format, data, offset)
    start = offset + struct.calcsize("=" + layout.count_format)
    num_entries = min(count, _MAX_ENTRIES, max(0, len(data) - start) // layout.entry_bytes)
    for entry in range(start, start + num_entries * layout.entry_bytes, layout.entry_bytes):
        try:
            name, values = _read_entry(data, layout, entry)
        except _BROKEN:
            continue
        if name and values:
            tags[name] = values
    return tags


def _read_entry(data: bytes, layout: _Layout, offset: int) -> tuple[str, tuple[int, ...]]:
    """Name and values of an entry; "" and none for tags and types that are not used."""
    tag, kind, length = struct.unpack_from(f"{layout.order}HH{layout.offset_format}", data, offset)
    if tag not in _TAGS or kind not in _TYPE_FORMATS or length > _MAX_VALUES:
        return "", ()
    values_format = f"{layout.order}{length}{_TYPE_FORMATS[kind]}"
    inline_bytes = struct.calcsize("=" + layout.offset_format)
    position = offset + 4 + inline_bytes
    if struct.calcsize(values_format) > inline_bytes:
        (position,) = struct.unpack_from(layout.order + layout.offset_format, data, position)
    return _TAGS[tag], struct.unpack_from(values_format, data, position)


def _build_page(tags: Tags, *, is_big_endian: bool) -> TiffPage:
    """The record from the tags, with the defaults of TIFF 6.0."""

    def first(name: str, default: int) -> int:
        return tags.get(name, (default,))[0]

    width, height = first("width", 0), first("height", 0)
    if not width or not height:
        raise DecodeError(f"tiff page must state its width and height, got {width}x{height}; replace the file")
    is_tiled = "tile_width" in tags
    strip_height = min(first("rows_per_strip", height), height)
    return TiffPage(
        width=width,
        height=height,
        bits=tags.get("bits", (1,)),
        num_samples=first("num_samples", 1),
        compression=first("compression", 1),
        photometric=first("photometric", 1),
        is_planar=first("planar", 1) == 2,
        sample_format=first("sample_format", 1),
        orientation=valid_orientation(first("orientation", 1)),
        extra_samples=tags.get("extra_samples", ()),
        segment_hw=(first("tile_height", 0), first("tile_width", 0)) if is_tiled else (strip_height, width),
        is_tiled=is_tiled,
        is_big_endian=is_big_endian,
        segments=tuple(zip(tags.get("offsets", ()), tags.get("byte_counts", ()), strict=False)),
        is_geo="geo_keys" in tags,
    )
