"""Whether scores are right as often as they claim: the reliability diagram and what is read from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15
"""As in the paper, and as most figures in the field are."""
SMALLEST = float(np.finfo(np.float64).eps)
"""Scores are kept so far from 0 before their logarithm, as scikit-learn's ``log_loss`` keeps them."""

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reliability:
    """The reliability diagram: equal bins of the score over [0, 1]."""

    counts: Reals
    """(L,) answers in each bin, weighted."""
    score_means: Reals
    """(L,) mean score in each bin, 0 in an empty one."""
    right_fracs: Reals
    """(L,) share that is right, 0 in an empty one."""

    @property
    def gaps(self) -> Reals:
        """(L,) how much scores claim too much (above 0) or too little."""
        return self.score_means - self.right_fracs

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean size of the gap over all answers.

        Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 2.
        """
        total = self.counts.sum()
        return float((self.counts * np.abs(self.gaps)).sum() / total) if total else float("nan")

    @property
    def mce(self) -> float:
        """Maximum calibration error: the largest gap of a bin that holds anything."""
        return float(np.abs(self.gaps[self.counts > 0]).max(initial=0.0)) if self.counts.any() else float("nan")


def reliability(
    scores: NDArray[np.floating],
    is_right: NDArray[np.bool_],
    *,
    weights: NDArray[np.number] | None = None,
    num_bins: int = NUM_BINS,
) -> Reliability:
    """Sort answers into bins by their score.

    Args:
        scores: (N,) in [0, 1].
        is_right: (N,) whether the answer was right.
        weights: (N,) how often each counts; None for once.
        num_bins: L. A bin holds its upper end, the first its lower end too.
    """
    values = scores.astype(np.float64)
    counted = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    bins = np.clip(np.ceil(values * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    counts, score_sums, right_sums = (
        np.asarray(np.bincount(bins, weights=part, minlength=num_bins), np.float64)
        for part in (counted, counted * values, counted * is_right)
    )
    filled = np.where(counts > 0, counts, 1.0)
    return Reliability(counts=counts, score_means=score_sums / filled, right_fracs=right_sums / filled)


def brier_of_classes(scores: NDArray[np.floating], truth: NDArray[np.integer]) -> Reals:
    """(N,) squared distance between the scores of competing classes, (N, K), and the truth: 0 to 2.

    Source: Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 78, 1950.
    """
    values = scores.astype(np.float64)
    own = values[np.arange(len(truth)), truth]
    return np.asarray((values**2).sum(axis=1) - 2 * own + 1)


def nll_of_classes(scores: NDArray[np.floating], truth: NDArray[np.integer]) -> Reals:
    """(N,) negative logarithm of the true class's score, of (N, K) scores."""
    own = scores[np.arange(len(truth)), truth].astype(np.float64)
    return np.asarray(-np.log(np.clip(own, SMALLEST, 1.0)))


def brier_of_labels(scores: NDArray[np.floating], is_true: NDArray[np.bool_]) -> Reals:
    """Squared distance of each score from 0 or 1, of any shape."""
    return np.asarray((scores.astype(np.float64) - is_true) ** 2)


def nll_of_labels(scores: NDArray[np.floating], is_true: NDArray[np.bool_]) -> Reals:
    """Negative logarithm of the score of what is true, of any shape."""
    values = scores.astype(np.float64)
    return np.asarray(-np.log(np.clip(np.where(is_true, values, 1 - values), SMALLEST, 1.0)))
