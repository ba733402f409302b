"""Join overlapping tiles into one map without seams."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.prepare.placement import MapValue
from inference_core.records import FloatArray, Placement


def blend_tiles(tiles: NDArray[MapValue], placement: Placement) -> NDArray[MapValue]:
    """Average overlapping tiles with weights that fall smoothly towards each tile's edge.

    The weights of all tiles add up to 1 at every pixel, so equal tiles stay as they are. A pixel that one tile
    covers keeps that tile's value.

    Args:
        tiles: (T, K, h, w) uint8 or float32, in the order of the placement. Not modified.
        placement: with tiles on a grid, as ``plan_fit`` makes it.

    Returns:
        (K, H, W) on the canvas, of the dtype of ``tiles``; uint8 is rounded to nearest.

    Raises:
        ShapeError: the tiles do not fit the placement.

    Cost: a float32 band of one tile's height, (K, h, W).
    """
    dtype = tiles.dtype
    canvas = np.empty((*tiles.shape[1:2], *placement.canvas_hw), dtype)
    for top, band in blend_bands(tiles, placement):
        rows = np.rint(band) if dtype == np.uint8 else band
        canvas[:, top : top + band.shape[1]] = rows.astype(dtype)
    return canvas


def blend_bands(tiles: NDArray[MapValue], placement: Placement) -> Iterator[tuple[int, FloatArray]]:
    """The same, band by band from the top, for maps that are too large to hold whole.

    Args:
        tiles: (T, K, h, w) uint8 or float32, in the order of the placement.
        placement: with tiles on a grid.

    Yields:
        First row and band, (K, rows, W) float32. Bands cover the canvas once. A band is overwritten by the next
        one: use it or copy it first.

    Raises:
        ShapeError: the tiles do not fit the placement.
    """
    expected = (placement.num_tiles, *placement.tile_hw)
    if tiles.ndim != 4 or (tiles.shape[0], *tiles.shape[2:]) != expected:
        raise ShapeError(f"tiles must be (T, K, h, w) with (T, h, w) = {expected}, got {list(tiles.shape)}")
    ys, xs = grid_axes(placement)
    height, width = placement.tile_hw
    weights_y = axis_weights(ys, height, placement.canvas_hw[0])  # (rows, h)
    weights_x = axis_weights(xs, width, placement.canvas_hw[1])  # (columns, w)
    by_row = tiles.reshape(len(ys), len(xs), tiles.shape[1], height, width)
    pending = np.zeros((tiles.shape[1], height, placement.canvas_hw[1]), np.float32)
    for index, top in enumerate(ys):
        for tile, left, weight_x in zip(by_row[index], xs, weights_x, strict=True):
            weight = weights_y[index][:, None] * weight_x  # (h, w)
            pending[:, :, left : left + width] += tile * weight
        num_done = (ys[index + 1] if index + 1 < len(ys) else placement.canvas_hw[0]) - top
        yield top, pending[:, :num_done]
        pending[:, : height - num_done] = pending[:, num_done:]
        pending[:, height - num_done :] = 0


def grid_axes(placement: Placement) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First rows and first columns of the tiles.

    Raises:
        ShapeError: the tiles are not the full grid of these, row by row.
    """
    ys = tuple(sorted({y for y, _ in placement.tile_origins_yx}))
    xs = tuple(sorted({x for _, x in placement.tile_origins_yx}))
    if placement.tile_origins_yx != tuple((y, x) for y in ys for x in xs):
        raise ShapeError(f"tile_origins_yx must be a grid, row by row, got {placement.num_tiles} other tiles")
    return ys, xs


@lru_cache(maxsize=64)
def axis_weights(starts: tuple[int, ...], tile: int, length: int) -> FloatArray:
    """Weights of tiles along one axis: a Hann window each, divided by their sum.

    Args:
        starts: first pixel of each tile.
        tile: pixels of a tile.
        length: pixels of the canvas, covered by the tiles.

    Returns:
        (len(starts), tile) float32, read-only; at each pixel of the canvas the weights of its tiles add up to 1.
    """
    window = np.sin(np.pi * (np.arange(tile) + 0.5) / tile) ** 2  # (tile,), > 0
    total = np.zeros(length)
    for start in starts:
        total[start : start + tile] += window
    weights = np.stack([window / total[start : start + tile] for start in starts]).astype(np.float32)
    weights.setflags(write=False)
    return weights
