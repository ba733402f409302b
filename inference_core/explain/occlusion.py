"""Occlusion: by how much the answer falls where a part of the image is covered. Any engine can tell.

Source: Zeiler & Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from inference_core.engines.batching import Outputs, run_batch
from inference_core.engines.fitting_sizes import FittingSizes
from inference_core.engines.protocol import Engine
from inference_core.errors import InputError
from inference_core.explain.targets import Value, as_numpy
from inference_core.records import FloatArray, Uint8Array

WINDOWS_PER_SIDE = 7
"""Sides of a square input in sides of a window; windows lie half over each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """What is covered, one after the other."""

    tile_hw: tuple[int, int]
    window_hw: tuple[int, int]
    stride_hw: tuple[int, int]

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of each window, row by row; the last ones end at the edge."""
        for top in starts(self.tile_hw[0], window=self.window_hw[0], stride=self.stride_hw[0]):
            for left in starts(self.tile_hw[1], window=self.window_hw[1], stride=self.stride_hw[1]):
                yield slice(top, top + self.window_hw[0]), slice(left, left + self.window_hw[1])


def starts(length: int, *, window: int, stride: int) -> range:
    """First pixels of the windows along one axis, which together cover it."""
    return range(0, max(length - window, 0) + stride, stride)


def plan_windows(tile_hw: tuple[int, int]) -> Windows:
    """Windows for an input of a size: squares of a seventh of its side, some 170 of them."""
    side = math.ceil(math.sqrt(tile_hw[0] * tile_hw[1]) / WINDOWS_PER_SIDE)
    height, width = (min(side, length) for length in tile_hw)
    return Windows(tile_hw=tile_hw, window_hw=(height, width), stride_hw=(math.ceil(height / 2), math.ceil(width / 2)))


def occlude(
    engine: Engine,
    tile: Uint8Array,
    *,
    support: Value,
    windows: Windows,
    color: tuple[int, ...],
    batch_size: int,
) -> FloatArray:
    """By how much the target falls where each pixel is covered: the mean over the windows that it lies in.

    Args:
        engine: runs the model.
        tile: (h, w, C) uint8, not modified.
        support: reads what is explained from the outputs.
        windows: that are covered.
        color: (C,) 0 to 255, covers.
        batch_size: most forwards at once.

    Returns:
        (h, w) float32, negative where covering raises the target.

    Raises:
        InputError: the model refused a covered image, or it does not fit the device.

    Cost: a batch of tiles, and a forward for each window.
    """
    size = min(batch_size, engine.facts.max_batch or batch_size)
    sizes = FittingSizes(size)
    own = measure([tile], engine, support=support, sizes=sizes)[0]
    fall, num_windows = np.zeros(tile.shape[:2]), np.zeros(tile.shape[:2])
    places = iter(windows)
    while batch := list(islice(places, size)):
        values = measure([cover(tile, place, color=color) for place in batch], engine, support=support, sizes=sizes)
        for place, value in zip(batch, values, strict=True):
            fall[place] += own - value
            num_windows[place] += 1
    return (fall / num_windows).astype(np.float32)


def cover(tile: Uint8Array, place: tuple[slice, slice], *, color: tuple[int, ...]) -> Uint8Array:
    """A copy of a tile with one window in one colour."""
    covered = tile.copy()
    covered[place] = color
    return covered


def measure(tiles: list[Uint8Array], engine: Engine, *, support: Value, sizes: FittingSizes) -> list[float]:
    """The target's value for each tile.

    Raises:
        InputError: the model refused one.
    """

    def forward(batch: Uint8Array) -> Outputs:
        values = as_numpy(support(engine.run(batch)))
        return {"value": values, "finite": np.isfinite(values)}

    found = []
    for outcome in run_batch(tiles, forward, sizes=sizes):
        if isinstance(outcome, InputError):
            raise outcome
        found.append(float(outcome["value"]))
    return found
