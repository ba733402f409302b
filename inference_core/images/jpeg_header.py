"""What the markers of a JPEG say: its size, its orientation, and whether the whole of it is there.

Source: ITU-T T.81, annex B; CIPA DC-007 for multi-picture files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from inference_core.errors import DecodeError, TooLargeError
from inference_core.images.exif import NUM_IMAGES_TAG, read_integer_tag, read_orientation

_SOS, _EOI = b"\xff\xda", b"\xff\xd9"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; not DHT, JPG, DAC
_SEGMENT_MARKERS = frozenset(
    bytes((0xFF, code)) for code in (0xC4, 0xDA, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0))
)  # DHT, SOS, DQT, DRI, COM, APP0 to APP15
_MAX_SCANS = 200
_MAX_SEGMENTS = 10_000
_MAX_JUNK_BYTES = 65_536
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # all but stuffed 0xFF bytes and restart markers

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MULTI_PICTURE = b"MPF\0"
_GAIN_MAP = b' hdrgm:Version="'


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegHeader:
    """What stands before the first scan."""

    width: int
    height: int
    frame_marker: int
    """Second byte of the frame's marker: 0xC0 baseline, 0xC2 progressive, ..."""
    bits: int
    """Bits per sample."""
    num_components: int
    scan_offset: int
    """Where the first scan's marker stands."""
    is_regular: bool
    """Whether there is one frame, in back-to-back segments without junk between them."""
    orientation: int
    """EXIF (else XMP) orientation, 1 to 8."""
    num_images: int
    """Images of a multi-picture file; 1 for others and where the second one is only a gain map."""


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Read the segments up to the first scan.

    Raises:
        DecodeError: the data ends, or the image does, before the first scan.
    """
    segments, scan_offset, is_regular = _split_segments(data)
    frames = [(marker, body) for marker, body in segments if marker in _FRAME_MARKERS and len(body) >= 6]
    if not frames:
        raise DecodeError("jpeg must have a frame header before its first scan, got none; replace the file")
    marker, frame = frames[0]
    return JpegHeader(
        width=frame[3] << 8 | frame[4],
        height=frame[1] << 8 | frame[2],
        frame_marker=marker,
        bits=frame[0],
        num_components=frame[5],
        scan_offset=scan_offset,
        is_regular=is_regular and len(frames) == 1 and len(frame) == 6 + 3 * frame[5],
        orientation=_orientation(segments),
        num_images=_num_images(segments),
    )


def has_whole_scans(data: bytes, scan_offset: int) -> bool:
    """Whether coded data runs from the first scan to the end-of-image marker with only known segments between.

    False for truncated files and for files in which damage made a stray marker.

    Raises:
        TooLargeError: over 200 scans, which is a way to keep a decoder busy for minutes with a small file.
    """
    offset, num_scans, num_segments = scan_offset, 0, 0
    while (marker := data[offset : offset + 2]) in _SEGMENT_MARKERS:
        offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        num_segments += 1
        if marker == _SOS:
            num_scans += 1
            found = _MARKER_IN_SCAN.search(data, offset)
            if found is None:
                return False
            offset = found.start()
        if num_scans > _MAX_SCANS or num_segments > _MAX_SEGMENTS:
            raise TooLargeError(f"jpeg scans must be at most {_MAX_SCANS}, got more; encode the image again")
    return marker == _EOI


def _split_segments(data: bytes) -> tuple[list[tuple[int, bytes]], int, bool]:
    """Marker and body of each segment that matters, the offset of the first scan, and whether all was in order."""
    segments: list[tuple[int, bytes]] = []
    offset, num_junk_bytes, num_segments = 2, 0, 0
    while True:
        start = data.find(b"\xff", offset)
        if start < 0 or start + 4 > len(data):
            raise DecodeError("jpeg must have a scan, got data that ends before one; replace the file")
        marker = data[start + 1]
        num_junk_bytes += start - offset
        num_segments += 1
        if marker == 0xDA:
            return segments, start, not num_junk_bytes
        if num_junk_bytes > _MAX_JUNK_BYTES or num_segments > _MAX_SEGMENTS:
            raise DecodeError("jpeg segments must follow each other, got too many or junk between; replace the file")
        if marker == 0xFF or marker < 0xC0 or 0xD0 <= marker <= 0xD9:  # fill, junk, or a marker without a body
            num_junk_bytes, offset = num_junk_bytes + 1, start + (1 if marker == 0xFF else 2)
            continue
        end = start + 2 + (data[start + 2] << 8 | data[start + 3])
        if marker in _FRAME_MARKERS or marker in (0xE1, 0xE2):
            segments.append((marker, data[start + 4 : end]))
        offset = max(end, start + 4)


def _orientation(segments: list[tuple[int, bytes]]) -> int:
    exif, xmp = b"", b""
    for marker, body in segments:
        if marker == 0xE1 and body.startswith(_EXIF):
            exif += body[len(_EXIF) :]
        elif marker == 0xE1 and body.startswith(_XMP):
            xmp = body
    return read_orientation(exif, xmp)


def _num_images(segments: list[tuple[int, bytes]]) -> int:
    indexes = [
        body[len(_MULTI_PICTURE) :] for marker, body in segments if marker == 0xE2 and body[:4] == _MULTI_PICTURE
    ]
    if not indexes or any(marker == 0xE1 and _GAIN_MAP in body for marker, body in segments):
        return 1
    return max(read_integer_tag(indexes[-1], NUM_IMAGES_TAG) or 1, 1)
