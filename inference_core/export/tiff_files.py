"""Planes as TIFF files: tiled and deflated, so that viewers read a part of a large one, and where they lie on Earth."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.records import GeoTag

TILE_PX = 256
"""Side of a tile; a multiple of 16, as TIFF 6.0 asks."""
ASCII, SHORT = 2, 3
"""Types of TIFF: text, and whole numbers of 16 bits."""


def encode_tiff(plane: NDArray[Any], *, geo_tags: Sequence[GeoTag] = ()) -> bytes:
    """A gray TIFF of tiles.

    Args:
        plane: (H, W) uint8, uint16 or float16, not modified.
        geo_tags: written as they are.
    """
    import tifffile

    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        np.ascontiguousarray(plane),
        photometric="minisblack",
        compression="zlib",
        tile=(TILE_PX, TILE_PX),
        extratags=list(extra_tags(geo_tags)),
        metadata=None,
        software=False,
    )
    return buffer.getvalue()


def read_tiff(data: bytes) -> NDArray[Any]:
    """The (H, W) values of the first page."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return np.asarray(file.pages[0].asarray())


def extra_tags(geo_tags: Sequence[GeoTag]) -> Iterator[tuple[int, int, int, Any, bool]]:
    """Tags as tifffile writes them: code, type, number of values, values, whether once for all pages."""
    for tag in geo_tags:
        if isinstance(tag.values, str):
            yield tag.code, ASCII, 0, tag.values, True
        else:
            values = tuple(int(value) if tag.kind == SHORT else value for value in tag.values)
            yield tag.code, tag.kind, len(values), values, True
