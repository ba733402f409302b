"""Measure the connected components of a mask: area, box, centroid, eccentricity and mean score."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.postprocess.classes import check_mask, class_windows
from inference_core.postprocess.regions import IntArray, Regions, find_regions, sum_by_region
from inference_core.records import Uint8Array, check_array
from inference_core.results import Components


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """What measurements are made of: whole numbers of N components, (N,) int64 each, exact."""

    class_id: IntArray
    area: IntArray
    x_min: IntArray
    y_min: IntArray
    x_max: IntArray
    """Half-open, as the next."""
    y_max: IntArray
    x: IntArray
    """Sum over the pixels of the column behind ``x_min``; ``y`` of the row."""
    y: IntArray
    xx: IntArray
    yy: IntArray
    xy: IntArray
    score: IntArray
    """Sum of uint8 scores."""


def measure_components(
    mask: Uint8Array,
    scores: Uint8Array,
    *,
    max_count: int,
    min_area_px: int = 1,
    class_ids: Collection[int] | None = None,
    background: int = 0,
) -> Components:
    """The components of a mask, pixels of one class that touch at an edge or a corner (8-connectivity).

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        scores: (H, W) uint8, score times 255.
        max_count: how many are kept, the largest; of equally large ones those of the lower class id, then those whose
            first pixel comes first, row by row.
        min_area_px: smaller ones are not counted.
        class_ids: classes whose components are measured; None for all but the background.
        background: class id.

    Raises:
        ShapeError: mask is not (H, W) uint8, or the scores are not as large.

    Cost: an int32 label map for one class at a time.
    """
    check_mask(mask)
    check_array("scores", scores, ndim=2, dtype=np.uint8)
    if scores.shape != mask.shape:
        raise ShapeError(f"scores must be {list(mask.shape)} as the mask, got {list(scores.shape)}")
    parts = []
    for class_id, window, member in class_windows(mask, class_ids=class_ids, background=background):
        regions = find_regions(member, connectivity=8)
        origin_yx = window[0].start, window[1].start
        parts.append(sums_of(regions, scores[window], class_id=class_id, origin_yx=origin_yx))
    names = Sums.__dataclass_fields__
    joined = {name: np.concatenate([np.empty(0, np.int64), *(getattr(part, name) for part in parts)]) for name in names}
    found = np.flatnonzero(joined["area"] >= min_area_px)
    kept = found[np.argsort(-joined["area"][found], kind="stable")][:max_count]
    return describe(Sums(**{name: values[kept] for name, values in joined.items()}), num_found=len(found))


def sums_of(regions: Regions, scores: Uint8Array, *, class_id: int, origin_yx: tuple[int, int]) -> Sums:
    """Sums over the pixels of each region, from its runs.

    Args:
        regions: of a window.
        scores: (h, w) uint8 of the window.
        class_id: of all of them.
        origin_yx: of the window in the image.
    """
    ids, rows, starts, stops = regions.region_ids, regions.rows, regions.starts, regions.stops
    num_regions, (height, width) = len(regions), regions.labels.shape
    y_min, x_min = np.full(num_regions, height), np.full(num_regions, width)
    y_max, x_max = np.zeros(num_regions, np.int64), np.zeros(num_regions, np.int64)
    np.minimum.at(y_min, ids, rows)
    np.minimum.at(x_min, ids, starts)
    np.maximum.at(y_max, ids, rows + 1)
    np.maximum.at(x_max, ids, stops)
    # Counted from each region's own corner, so that sums stay small: a whole mask of 65,535 pixels a side would fit.
    y, left, right = rows - y_min[ids], starts - x_min[ids], stops - x_min[ids]
    lengths, run_x = right - left, (left + right - 1) * (right - left) // 2

    def total(values: IntArray) -> IntArray:
        return sum_by_region(ids, values, num_regions=num_regions)

    top, first = origin_yx
    return Sums(
        class_id=np.full(num_regions, class_id),
        area=regions.areas_px,
        x_min=x_min + first,
        y_min=y_min + top,
        x_max=x_max + first,
        y_max=y_max + top,
        x=total(run_x),
        y=total(y * lengths),
        xx=total(sum_of_squares(right) - sum_of_squares(left)),
        yy=total(y * y * lengths),
        xy=total(y * run_x),
        score=total(score_of_runs(scores, rows, starts, stops)),
    )


def sum_of_squares(stop: IntArray) -> IntArray:
    """0 + 1 + 4 + ... of all whole numbers below ``stop``, squared."""
    return (stop - 1) * stop * (2 * stop - 1) // 6


def score_of_runs(scores: Uint8Array, rows: IntArray, starts: IntArray, stops: IntArray) -> IntArray:
    """(R,) int64 sums of scores over runs."""
    width = scores.shape[1]
    edges = np.stack([rows * width + starts, rows * width + stops], axis=-1).ravel()
    # The sums up to the next edge, of which every second one is over a run; the last may end with the array.
    sums: NDArray[np.int64] = np.add.reduceat(
        scores.ravel(), edges[:-1] if edges[-1] == scores.size else edges, dtype=np.int64
    )
    return sums[::2]


def describe(sums: Sums, *, num_found: int) -> Components:
    """The measurements of some components."""
    area = sums.area.astype(np.float64)
    # Second central moments times the squared area: in Python's whole numbers, so that nothing cancels.
    n, x, y, xx, yy, xy = (v.astype(object) for v in (sums.area, sums.x, sums.y, sums.xx, sums.yy, sums.xy))
    across, down, mixed = ((n * two - one).astype(np.float64) for two, one in ((xx, x * x), (yy, y * y), (xy, x * y)))
    difference = np.hypot(across - down, 2 * mixed)  # of the moments along the axes of the ellipse; their sum:
    size = across + down
    eccentricity = np.sqrt(np.divide(2 * difference, size + difference, where=size > 0, out=np.zeros_like(size)))
    centroids = np.stack([sums.x_min + sums.x / area + 0.5, sums.y_min + sums.y / area + 0.5], axis=-1)
    return Components(
        num_found=num_found,
        class_ids=sums.class_id.astype(np.int32),
        areas_px=sums.area,
        scores=(sums.score / area / 255).astype(np.float32),
        boxes_xyxy=np.stack([sums.x_min, sums.y_min, sums.x_max, sums.y_max], axis=-1).astype(np.int32),
        centroids_xy=centroids.astype(np.float32),
        eccentricities=eccentricity.astype(np.float32),
    )
