"""The tags of a GeoTIFF that hold for its masks too: of the same pixels, at the same places.

Source: OGC GeoTIFF Standard 1.1 (19-008r4), section 7.1.
"""

from __future__ import annotations

import io

from inference_core.records import GeoTag

CODES = (33550, 33922, 34264, 34735, 34736, 34737)
"""Size of a pixel, tie points, affine map; keys, and the numbers and texts that they point at."""
MAX_VALUES = 4_096
"""Of a tag: tie points may be a grid, which is not carried along."""


def read_geo_tags(data: bytes, page: int) -> tuple[GeoTag, ...]:
    """The geotags of a page; none where they are damaged or too many.

    Args:
        data: a TIFF file that was decoded already.
        page: from 0.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tags = file.pages[page].aspage().tags
            found = [(code, tags[code]) for code in CODES if code in tags]
            return tuple(geo_tag(code, int(tag.dtype), tag.value) for code, tag in found if tag.count <= MAX_VALUES)
    except (tifffile.TiffFileError, ValueError, IndexError, TypeError, KeyError):
        return ()  # the pixels are right: an answer without a place is better than none


def geo_tag(code: int, kind: int, value: object) -> GeoTag:
    """One tag."""
    if isinstance(value, str | bytes):
        return GeoTag(code=code, kind=kind, values=value if isinstance(value, str) else value.decode("latin-1"))
    values = value if isinstance(value, tuple) else (value,)
    return GeoTag(code=code, kind=kind, values=tuple(float(number) for number in values))
