"""How often each of 256 levels occurs in a plane, and what follows from that: exact, in one pass over the pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.records import Uint8Array

NUM_LEVELS = 256
MAX_COUNTED = 1 << 24
"""Pixels that OpenCV counts without rounding: it gives counts as float32."""

Counts = NDArray[np.int64]


def count_levels(plane: Uint8Array, *, where: Uint8Array | None = None) -> Counts:
    """(256,) int64 pixels at each level.

    Args:
        plane: (H, W) uint8, not modified.
        where: (H, W) uint8, pixels that are 0 do not count; None counts all.
    """
    rows = max(1, MAX_COUNTED // plane.shape[1])
    counts = np.zeros(NUM_LEVELS, np.int64)
    for top in range(0, len(plane), rows):
        part = None if where is None else where[top : top + rows]
        found = cv2.calcHist([plane[top : top + rows]], [0], part, [NUM_LEVELS], [0, NUM_LEVELS])
        counts += found.ravel().astype(np.int64)  # (256, 1) before OpenCV 5
    return counts


def mean_of(counts: Counts, values: NDArray[np.float64]) -> float | None:
    """The mean of a value for each level; None of no pixels."""
    total = int(counts.sum())
    return float(counts @ values) / total if total else None


def std_of(counts: Counts, values: NDArray[np.float64]) -> float | None:
    """The standard deviation (divided by the number) of a value for each level; None of no pixels."""
    mean = mean_of(counts, values)
    if mean is None:
        return None
    return float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def quantile_of(counts: Counts, values: NDArray[np.float64], q_frac: float) -> float | None:
    """The quantile of rising values, between two neighbours linear as ``numpy.quantile`` does; None of no pixels."""
    total = int(counts.sum())
    if not total:
        return None
    place = q_frac * (total - 1)
    first = int(place)
    below, above = np.searchsorted(np.cumsum(counts), [first, min(first + 1, total - 1)], side="right")
    return float(values[below] + (values[above] - values[below]) * (place - first))


def frac_where(counts: Counts, is_counted: NDArray[np.bool_]) -> float | None:
    """The share of pixels at some levels; None of no pixels."""
    total = int(counts.sum())
    return float(counts[is_counted].sum()) / total if total else None
