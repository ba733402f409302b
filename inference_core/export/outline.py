"""Outlines of masks along the edges of their pixels, so that filling them gives the mask back to the pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.run_length import BoolArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ring:
    """A closed line of horizontal and vertical edges in turn."""

    points_xy: IntArray
    """(N, 2) int64 corners in pixels from the top left of the image; the last one is joined with the first."""
    is_hole: bool
    """Whether it lies around what is not the object's."""


def outline(window: BoolArray, *, top_left_xy: tuple[int, int] = (0, 0)) -> list[Ring]:
    """The rings around a mask and around its holes, the topmost first.

    Pixels that touch at a corner alone have rings of their own. What lies in an odd number of rings is the object's.

    Args:
        window: (h, w) bool, not modified.
        top_left_xy: where it lies in the image.

    Cost: a few arrays of the window's size, and a step of Python for each corner.
    """
    cells = np.pad(window, 1).astype(np.int8)
    corners = find_corners(cells)
    if not len(corners.x):
        return []
    across, down = pair_up(corners.by_row), pair_up(corners.by_column)
    points = np.stack([corners.x + top_left_xy[0], corners.y + top_left_xy[1]], axis=1)
    is_filled = cells[corners.y + 1, corners.x + 1] > 0  # below and right of the corner
    return [
        Ring(points_xy=points[ring], is_hole=not is_filled[ring[0]])
        for ring in follow(across.tolist(), down.tolist(), order=corners.by_row.tolist())
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corners:
    """Where edges turn; a place where two pixels touch at a corner alone stands twice."""

    x: IntArray
    y: IntArray
    by_row: IntArray
    """Their order by rows: two that follow each other are the ends of a horizontal edge."""
    by_column: IntArray
    """Likewise of vertical edges."""


def find_corners(cells: NDArray[np.int8]) -> Corners:
    """The corners of a mask with a border of 0 around it, (h + 2, w + 2)."""
    top_left, top_right = cells[:-1, :-1], cells[:-1, 1:]
    bottom_left, bottom_right = cells[1:, :-1], cells[1:, 1:]
    is_turn = (top_left ^ top_right ^ bottom_left ^ bottom_right) == 1
    touches = (top_left == bottom_right) & (top_right == bottom_left) & (top_left != top_right)
    turns, touching = np.nonzero(is_turn), np.nonzero(touches)
    y, x = (np.concatenate([turns[axis], touching[axis], touching[axis]]) for axis in (0, 1))
    second = np.zeros(len(x), np.int64)
    second[len(turns[0]) + len(touching[0]) :] = 1
    # Of two at one place, the first ends the edge from the left. It goes on up where the pixel above left is filled,
    # else down: so each pixel keeps its own ring.
    falls = np.zeros(len(x), np.int64)
    falls[len(turns[0]) :] = np.tile(top_left[touching] == 0, 2)
    return Corners(x=x, y=y, by_row=np.lexsort((second, x, y)), by_column=np.lexsort((second ^ falls, y, x)))


def pair_up(order: IntArray) -> IntArray:
    """(N,) for each corner the one at the other end of its edge."""
    partner = np.empty_like(order)
    partner[order[0::2]], partner[order[1::2]] = order[1::2], order[0::2]
    return partner


def follow(across: list[int], down: list[int], *, order: list[int]) -> Iterator[list[int]]:
    """Rings as corners, each from its topmost and there leftmost one, first to the right."""
    is_seen = [False] * len(order)
    for start in order:
        if is_seen[start]:
            continue
        ring, corner = [], start
        while not is_seen[corner]:
            other = across[corner]
            is_seen[corner] = is_seen[other] = True
            ring += [corner, other]
            corner = down[other]
        yield ring


def join_rings(rings: Sequence[Ring]) -> IntArray:
    """One closed line through all rings: between two it goes there and back on the same way, which adds no area.

    For formats that have a single polygon for an object, whatever its pieces and holes.
    """
    points = rings[0].points_xy
    for ring in rings[1:]:
        there, here = nearest(points, ring.points_xy)
        turned = np.roll(ring.points_xy, -here, axis=0)
        points = np.concatenate([points[: there + 1], turned, turned[:1], points[there:]])
    return points


def nearest(points: IntArray, others: IntArray) -> tuple[int, int]:
    """Where two lines come closest, as positions of their corners. Of long lines some corners are compared."""
    step, other_step = (max(1, len(line) // MAX_COMPARED) for line in (points, others))
    gaps = points[::step, None] - others[None, ::other_step]  # (n, m, 2)
    best = int(np.argmin((gaps**2).sum(axis=2)))
    count = len(others[::other_step])
    return best // count * step, best % count * other_step


MAX_COMPARED = 256
"""Corners of each line."""
