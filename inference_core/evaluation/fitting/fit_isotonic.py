"""The line that never falls and lies closest to the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from inference_core.calibration_spec import IsotonicSpec

MAX_KNOTS = 64
"""Of the line that is kept: more would follow single images."""
DIGITS = 6

Reals = NDArray[np.float64]


def fit_isotonic(scores: Reals, is_true: NDArray[np.bool_], *, weights: Reals | None = None) -> IsotonicSpec:
    """Fit by the pool-adjacent-violators algorithm, and join the middles of its steps by straight pieces.

    Args:
        scores: (N,) in [0, 1], one at least.
        is_true: (N,).
        weights: (N,) how often each counts; None for once.

    Source: Zadrozny and Elkan, Transforming Classifier Scores into Accurate Multiclass Probability Estimates, KDD 2002,
    section 3.2.
    """
    counted = np.ones(len(scores)) if weights is None else weights
    x, means, mass = mean_by_score(scores, is_true.astype(np.float64), counted)
    y = isotonic_regression(means, weights=mass).x
    knots_x, knots_y = corners_of(x, y)
    if len(knots_x) > MAX_KNOTS:
        kept = np.unique(np.linspace(0, len(knots_x) - 1, MAX_KNOTS).round().astype(np.int64))
        knots_x, knots_y = knots_x[kept], knots_y[kept]
    rounded, first = np.unique(np.round(knots_x, DIGITS), return_index=True)
    values = np.maximum.accumulate(np.round(np.clip(knots_y[first], 0, 1), DIGITS))
    if len(rounded) == 1:  # a line needs two points
        return IsotonicSpec(x=(0.0, 1.0), y=(float(values[0]), float(values[0])))
    return IsotonicSpec(x=tuple(rounded.tolist()), y=tuple(values.tolist()))


def mean_by_score(scores: Reals, values: Reals, weights: Reals) -> tuple[Reals, Reals, Reals]:
    """Distinct scores, rising, with the mean value and the weight of each; those without weight are left out."""
    x, places = np.unique(scores, return_inverse=True)
    mass = np.asarray(np.bincount(places, weights=weights), np.float64)
    means = np.bincount(places, weights=weights * values) / np.where(mass > 0, mass, 1)
    return x[mass > 0], means[mass > 0], mass[mass > 0]


def corners_of(x: Reals, y: Reals) -> tuple[Reals, Reals]:
    """The first and the last point of each step: all that a line through the steps needs."""
    is_corner = np.ones(len(x), np.bool_)
    is_corner[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
    return x[is_corner], y[is_corner]
