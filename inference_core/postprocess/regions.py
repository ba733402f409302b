"""Connected regions of a mask, numbered by their first pixel, and the runs of pixels that they are made of."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.records import Uint8Array
from inference_core.run_length import BoolArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Where something ends, in the coordinates of a window; negative where it begins before it."""

    top: int
    bottom: int
    """The row behind the last."""
    left: int
    right: int
    """The column behind the last."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regions:
    """N connected regions of an (h, w) window, in the order of their first pixel, row by row.

    A run is a longest row of neighbouring pixels of one region; there are R.
    """

    labels: NDArray[np.int32]
    """(h, w) int32, 0 outside of all regions. Which label a region has is told by ``numbers`` alone."""
    numbers: IntArray
    """(N + 1,) the region of a label; -1 of label 0."""
    rows: IntArray
    """(R,) of each run, in the window, ascending."""
    starts: IntArray
    """(R,) first column of each run."""
    stops: IntArray
    """(R,) the column behind each run."""
    region_ids: IntArray
    """(R,) the region of each run."""
    areas_px: IntArray
    """(N,) pixels of each region."""

    def __len__(self) -> int:
        return len(self.areas_px)

    def pixels_of(self, is_chosen: BoolArray) -> BoolArray:
        """(h, w) bool, true in the regions that are true in ``is_chosen``, (N,) bool."""
        return np.append(is_chosen, False)[self.numbers][self.labels]

    def touching(self, edges: Edges) -> BoolArray:
        """(N,) bool, true for regions that reach one of four edges of the window, or of the image around it."""
        is_there = (self.rows == edges.top) | (self.rows == edges.bottom - 1)
        is_there |= (self.starts == edges.left) | (self.stops == edges.right)
        found = np.zeros(len(self), bool)
        found[self.region_ids[is_there]] = True
        return found


def find_regions(member: Uint8Array, *, connectivity: int) -> Regions:
    """The connected regions of the pixels that are not 0.

    Args:
        member: (h, w) uint8, 0 or 1. Not modified.
        connectivity: 8 where pixels that touch at a corner belong together, else 4.

    Cost: an int32 label for each pixel. A fourth of the time of OpenCV's own statistics of components, which visit
    every pixel again; here areas come from runs.
    """
    num_labels, found = cv2.connectedComponents(member, connectivity=connectivity)
    labels = np.asarray(found, np.int32)
    rows, starts, stops = find_runs(member)
    run_labels = labels[rows, starts]
    first_runs = np.full(num_labels, len(rows))
    np.minimum.at(first_runs, run_labels, np.arange(len(rows)))
    # OpenCV promises no order of labels: that of the first pixels is the same whatever its version and threads.
    numbers = np.full(num_labels, -1)
    numbers[1 + np.argsort(first_runs[1:])] = np.arange(num_labels - 1)
    region_ids = numbers[run_labels]
    return Regions(
        labels=labels,
        numbers=numbers,
        rows=rows,
        starts=starts,
        stops=stops,
        region_ids=region_ids,
        areas_px=sum_by_region(region_ids, stops - starts, num_regions=num_labels - 1),
    )


def find_runs(member: Uint8Array) -> tuple[IntArray, IntArray, IntArray]:
    """Rows, first columns and columns behind the last, (R,) int64 each, of all runs of ones, row by row."""
    height, width = member.shape
    padded = np.zeros((height, width + 1), np.uint8)  # a zero ends every row
    padded[:, :width] = member
    flat = padded.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        edges = np.concatenate([[0], edges])
    rows, starts = np.divmod(edges[::2], width + 1)
    return rows, starts, edges[1::2] - rows * (width + 1)


def sum_by_region(region_ids: IntArray, values: IntArray, *, num_regions: int) -> IntArray:
    """(num_regions,) int64 sums of the runs' values, exact."""
    totals = np.zeros(num_regions, np.int64)
    np.add.at(totals, region_ids, values)
    return totals
