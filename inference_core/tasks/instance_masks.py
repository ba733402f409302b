"""Instance masks in the image's own pixels, from soft masks on grids over windows of tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.records import FloatArray, Uint8Array
from inference_core.results import InstanceMask
from inference_core.run_length import encode_window


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskPart:
    """What one tile says of an object's mask."""

    grid: Uint8Array
    """(m, m) uint8, scores times 255 of the cells of a grid over the window."""
    window_xyxy: FloatArray
    """(4,) float32 in pixels of the image; may reach beyond it."""


def place_mask(parts: Sequence[MaskPart], *, image_hw: tuple[int, int], level: float) -> InstanceMask:
    """The mask of an object: the pixels that one of its parts shows.

    Args:
        parts: at least one.
        image_hw: size of the image.
        level: least value of a pixel, from 0 to 1.

    Cost: a few arrays of the size of the box around the parts.
    """
    spans = [[pixel_span(part.window_xyxy[axis::2], side=image_hw[1 - axis]) for axis in (1, 0)] for part in parts]
    top, left = (min(span[axis].start for span in spans) for axis in (0, 1))
    bottom, right = (max(span[axis].stop for span in spans) for axis in (0, 1))
    window = np.zeros((bottom - top, right - left), np.bool_)
    for part, (rows, columns) in zip(parts, spans, strict=True):
        shown = window[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        shown |= resample_grid(part, rows=rows, columns=columns) >= level * 255
    counts = encode_window(window, top_left_yx=(top, left), image_hw=image_hw)
    return InstanceMask(size_hw=image_hw, counts=counts, area_px=int(np.count_nonzero(window)))


def pixel_span(ends: FloatArray, *, side: int) -> range:
    """The pixels of a side whose centres lie between two ends; empty ones lie within the side, too."""
    first, stop = (min(max(int(np.ceil(end - 0.5)), 0), side) for end in ends.tolist())
    return range(first, max(first, stop))


def resample_grid(part: MaskPart, *, rows: range, columns: range) -> FloatArray:
    """(h, w) float32 scores times 255 at the centres of pixels, linear between the centres of the cells."""
    low_rows, high_rows, down = neighbours(part.window_xyxy[1::2], rows, num_cells=part.grid.shape[0])
    low_columns, high_columns, right = neighbours(part.window_xyxy[0::2], columns, num_cells=part.grid.shape[1])
    grid = part.grid.astype(np.float32)
    across = grid[:, low_columns] * (1 - right) + grid[:, high_columns] * right  # (m, w)
    return np.asarray(across[low_rows] * (1 - down[:, None]) + across[high_rows] * down[:, None], np.float32)


def neighbours(
    ends: FloatArray, pixels: range, *, num_cells: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
    """For each pixel the cells whose centres lie before and behind its own, and the weight of the latter."""
    begin, end = (float(value) for value in ends)
    position = (np.arange(pixels.start, pixels.stop) + 0.5 - begin) * (num_cells / max(end - begin, 1e-6)) - 0.5
    position = np.clip(position, 0, num_cells - 1)
    low = np.floor(position).astype(np.int64)
    return low, np.minimum(low + 1, num_cells - 1), (position - low).astype(np.float32)
