"""A prepared image, or the error for which there is none."""

from __future__ import annotations

from collections.abc import Mapping

from inference_core.errors import (
    DecodeError,
    FetchError,
    InferError,
    InputError,
    OutOfMemoryError,
    TooLargeError,
    UnsupportedError,
)
from inference_core.items import PreparedItem, RawItem
from inference_core.records import Prepared

MAX_TILES = 64
"""Of one image. Each is explained by itself, which takes up to some 170 forwards."""
INPUT_ERRORS: Mapping[str, type[InputError]] = {
    cls.status: cls for cls in (FetchError, DecodeError, TooLargeError, UnsupportedError, InferError, OutOfMemoryError)
}


def usable(item: PreparedItem) -> Prepared:
    """What was prepared of an image.

    Raises:
        InputError: nothing, by the item's status; or it became too many tiles.
    """
    if item.prepared is None:
        raise error_of(item)
    num_tiles = max(block.placement.num_tiles for block in item.blocks)
    if num_tiles > MAX_TILES:
        raise TooLargeError(
            f"tiles of an image that is explained must be at most {MAX_TILES}, got {num_tiles}; explain a part of it"
        )
    return item.prepared


def error_of(item: PreparedItem | RawItem) -> InputError:
    """The error that an item's status stands for."""
    return INPUT_ERRORS.get(item.status, InferError)(item.error, uri=item.source.uri)
