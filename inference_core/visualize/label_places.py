"""Where the names of boxes go: next to their box, inside the picture, and never one on another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, half-open."""
Rects = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelPlace:
    """Where a label goes."""

    rect: Rect
    is_beside: bool
    """Whether it touches its box; else a line must lead to it."""


def place_labels(
    boxes: Sequence[Rect], sizes_wh: Sequence[tuple[int, int]], *, image_hw: tuple[int, int]
) -> list[LabelPlace | None]:
    """A place for each label, the first ones first.

    Of the places around and in its box, a label takes the one that hides least of other boxes. Where all are taken it
    goes to the free place of the picture that is nearest to its box.

    Args:
        boxes: of N objects; they may reach beyond the picture.
        sizes_wh: width and height of each label in pixels.
        image_hw: of the picture.

    Returns:
        N places that do not overlap. None only where no free place of that size is left in the whole picture.

    Cost: of a label among n placed ones O(n) beside its box, O(n^3) where it has to go elsewhere.
    """
    others = np.array(boxes, np.int64).reshape(-1, 4)
    taken = np.empty((0, 4), np.int64)
    places: list[LabelPlace | None] = []
    for index, (box, size) in enumerate(zip(boxes, sizes_wh, strict=True)):
        hidden = np.delete(others, index, axis=0)
        place = place_beside(box, size, taken=taken, hidden=hidden, image_hw=image_hw)
        place = place or place_elsewhere(box, size, taken=taken, image_hw=image_hw)
        places.append(place)
        if place is not None:
            taken = np.vstack([taken, np.array([place.rect], np.int64)])
    return places


def place_beside(
    box: Rect, size_wh: tuple[int, int], *, taken: Rects, hidden: Rects, image_hw: tuple[int, int]
) -> LabelPlace | None:
    """The best free place around or in a box."""
    free = [
        rect
        for rect in spots(box, size_wh, image_hw=image_hw)
        if is_within(rect, image_hw=image_hw) and not shared_area(rect, taken).any()
    ]
    if not free:
        return None
    width, height = size_wh
    # A tenth of a label's area hidden is as good as none: the first spots are where people look for a name.
    costs = [int(shared_area(rect, hidden).sum() * 10 // max(width * height, 1)) for rect in free]
    return LabelPlace(free[costs.index(min(costs))], is_beside=True)


def spots(box: Rect, size_wh: tuple[int, int], *, image_hw: tuple[int, int]) -> Iterator[Rect]:
    """Places around and in a box, the usual ones first; moved into the picture sideways where it ends."""
    left, top, right, bottom = box
    width, height = size_wh
    image_height, image_width = image_hw
    at_left = max(0, min(left, image_width - width))
    at_right = max(0, min(right - width, image_width - width))
    inside_top, inside_bottom = max(top, 0), min(bottom, image_height) - height
    for x, y in (
        (at_left, top - height),
        (at_left, inside_top),
        (at_left, bottom),
        (at_right, top - height),
        (at_right, inside_top),
        (at_right, bottom),
        (at_left, inside_bottom),
        (at_right, inside_bottom),
        (right, inside_top),
        (left - width, inside_top),
        (right, inside_bottom),
        (left - width, inside_bottom),
    ):
        yield x, y, x + width, y + height


def place_elsewhere(
    box: Rect, size_wh: tuple[int, int], *, taken: Rects, image_hw: tuple[int, int]
) -> LabelPlace | None:
    """The free place that is nearest to a box.

    A rectangle that fits somewhere can be pushed up and left until it touches a side of the picture or of a taken one,
    so if there is a place at all, there is one among those. Others are tried for being nearer.
    """
    width, height = size_wh
    image_height, image_width = image_hw
    if width > image_width or height > image_height:
        return None
    lefts = edges(taken[:, 2], taken[:, 0] - width, box[0], limit=image_width - width)
    tops = edges(taken[:, 3], taken[:, 1] - height, box[1] - height, limit=image_height - height)
    grid = np.stack(np.meshgrid(lefts, tops, indexing="ij"), axis=-1).reshape(-1, 2)  # (P, 2)
    is_free = np.ones(len(grid), bool)
    for x0, y0, x1, y1 in taken.tolist():
        is_free &= (grid[:, 0] >= x1) | (grid[:, 0] + width <= x0) | (grid[:, 1] >= y1) | (grid[:, 1] + height <= y0)
    if not is_free.any():
        return None
    free = grid[is_free]
    across = np.maximum(0, np.maximum(box[0] - free[:, 0] - width, free[:, 0] - box[2]))
    down = np.maximum(0, np.maximum(box[1] - free[:, 1] - height, free[:, 1] - box[3]))
    x, y = free[int(np.argmin(across**2 + down**2))].tolist()
    return LabelPlace((x, y, x + width, y + height), is_beside=False)


def edges(after: Rects, before: Rects, wanted: int, *, limit: int) -> Rects:
    """Coordinates to try: behind and before each taken place, the wanted one, and the picture's own ends."""
    tried = np.concatenate([after, before, [wanted, 0, limit]])
    return np.unique(tried[(tried >= 0) & (tried <= limit)])


def is_within(rect: Rect, *, image_hw: tuple[int, int]) -> bool:
    """Whether a place lies in the picture."""
    return rect[0] >= 0 and rect[1] >= 0 and rect[2] <= image_hw[1] and rect[3] <= image_hw[0]


def shared_area(rect: Rect, others: Rects) -> Rects:
    """(N,) pixels that a place has in common with each of others."""
    width = np.minimum(rect[2], others[:, 2]) - np.maximum(rect[0], others[:, 0])
    height = np.minimum(rect[3], others[:, 3]) - np.maximum(rect[1], others[:, 1])
    shared: Rects = np.maximum(width, 0) * np.maximum(height, 0)
    return shared
