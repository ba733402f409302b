"""Tiles that a client prepared itself: checked, and placed so that the answer is in their own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inference_core.input_spec import InputSpec
from inference_core.items import PreparedItem
from inference_core.pipeline import blank_hw
from inference_core.records import Placement, Prepared, SourceFacts, Uint8Array
from serve.errors import InvalidRequestError

MAX_SIDE_PX = 65_535


def check_tiles(tiles: Uint8Array, spec: InputSpec, *, max_pixels: int) -> None:
    """Raise InvalidRequestError unless tiles are what the model's prepare could have made of one image."""
    if tiles.dtype != np.uint8 or tiles.ndim != 4:
        raise InvalidRequestError(f"tiles must be (1, h, w, C) uint8, got {tiles.dtype}{list(tiles.shape)}; cast them")
    count, height, width, channels = tiles.shape
    if count != 1:
        raise InvalidRequestError(f"tiles must be one for each image, got {count}; send each as an image of its own")
    if channels != spec.num_channels:
        raise InvalidRequestError(f"tiles must have {spec.num_channels} channels (h, w, C), got {channels}")
    if spec.size_hw is not None and (height, width) != tuple(spec.size_hw):
        raise InvalidRequestError(f"tiles must be {spec.size_hw[0]} x {spec.size_hw[1]} pixels, got {height} x {width}")
    multiple = spec.multiple_px if spec.size_hw is None else 1
    if 0 in (height, width) or height % multiple or width % multiple:
        raise InvalidRequestError(f"sides of tiles must be multiples of {multiple}, got {height} x {width}; pad them")
    if height * width > max_pixels or max(height, width) > MAX_SIDE_PX:
        raise InvalidRequestError(f"tiles must have at most {max_pixels} pixels, got {height} x {width}; scale them")


def tiles_item(tiles: Uint8Array, *, image_id: str, uri: str = "") -> PreparedItem:
    """One tile as a prepared image of its own.

    Args:
        tiles: (1, h, w, C) uint8, as ``check_tiles`` wants them.
        image_id: key of the answer.
        uri: where it is from.
    """
    tile_hw = (tiles.shape[1], tiles.shape[2])
    source = SourceFacts(image_id=image_id, uri=uri, format="tiles", decoder="none", num_pages=1, image_hw=tile_hw)
    placement = Placement(
        image_hw=tile_hw,
        scaled_hw=tile_hw,
        canvas_hw=tile_hw,
        offset_yx=(0, 0),
        tile_hw=tile_hw,
        tile_origins_yx=((0, 0),),
    )
    return PreparedItem(source=source, prepared=Prepared(tiles=tiles, placement=placement))


def blank_item(specs: Sequence[InputSpec]) -> PreparedItem:
    """The smallest input that a model takes, black.

    Args:
        specs: one, or several for a model whose members take different ones.
    """
    first, *others = (
        tiles_item(np.zeros((1, *blank_hw(spec), spec.num_channels), np.uint8), image_id="health") for spec in specs
    )
    return replace(first, others=tuple(other.prepared for other in others if other.prepared))
