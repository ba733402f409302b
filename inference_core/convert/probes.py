"""Batches of real tiles that show what a graph fixes: one image and many, and two sizes where the size is free."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np

from inference_core.input_spec import InputSpec
from inference_core.items import PreparedItem
from inference_core.records import Uint8Array

MAX_PROBE_PIXELS = 4 * 1024 * 1024
"""Of a batch of many images: raw outputs of two engines are held for it. Two images at least, however large."""


def probe_batches(items: Sequence[PreparedItem], spec: InputSpec, *, batch_size: int) -> list[Uint8Array]:
    """Batches to compare raw outputs on.

    Args:
        items: prepared; at least one, none failed.
        spec: native has a second size.
        batch_size: of the larger batches, lowered for large images.

    Returns:
        (B, h, w, C) uint8 each: for each size one image and several.
    """
    tiles = [tile for item in items if item.prepared for tile in item.prepared.tiles]
    return [batch for size in tiles_by_size(tiles, spec) for batch in (size[0][None], fill_up(size, batch_size))]


def tiles_by_size(tiles: Sequence[Uint8Array], spec: InputSpec) -> list[list[Uint8Array]]:
    """Tiles of one size each: the first tile's, and for fit native the largest other one."""
    first = [tile for tile in tiles if tile.shape == tiles[0].shape]
    if spec.size_hw is not None:
        return [first]
    others = [tile for tile in tiles if tile.shape != tiles[0].shape]
    if not others:
        return [first, [resized(tile, multiple_px=spec.multiple_px) for tile in first]]
    largest = max((tile.shape for tile in others), key=np.prod)
    return [first, [tile for tile in others if tile.shape == largest]]


def resized(tile: Uint8Array, *, multiple_px: int) -> Uint8Array:
    """A tile of another size that the model takes: one step less high, where there is one, and two steps wider.

    Args:
        tile: (h, w, C), h and w multiples of ``multiple_px``.
        multiple_px: the step.
    """
    height = max(len(tile) - multiple_px, multiple_px)
    return np.pad(tile[:height], [(0, 0), (0, 2 * multiple_px), (0, 0)], mode="wrap")


def fill_up(tiles: Sequence[Uint8Array], batch_size: int) -> Uint8Array:
    """A batch of tiles in turns, as many as fit MAX_PROBE_PIXELS."""
    height, width, _ = tiles[0].shape
    count = max(min(batch_size, MAX_PROBE_PIXELS // (height * width)), 2)
    return np.stack(list(islice(cycle(tiles), count)))
