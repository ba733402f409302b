"""How well scores put the true before the untrue: average precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """Cases sorted by score once, so that they can be weighted again and again."""

    order: NDArray[np.int64]
    """(N,) best first."""
    is_true: NDArray[np.bool_]
    """(N,) in that order."""
    ends: NDArray[np.int64]
    """(n,) the last case of each run of equal scores, which count together."""

    def average_precision(self, weights: NDArray[np.number] | None = None) -> float:
        """The mean of precision over recall, in steps, not interpolated.

        Args:
            weights: (N,) how often each case counts, in its own order; None for once.

        Returns:
            0 to 1; nan where nothing is true.
        """
        drawn = np.ones(len(self.order)) if weights is None else weights.astype(np.float64)[self.order]
        right, every = np.cumsum(drawn * self.is_true)[self.ends], np.cumsum(drawn)[self.ends]
        if not len(right) or right[-1] == 0:
            return float("nan")
        precision = right / np.where(every > 0, every, 1.0)
        return float((np.diff(right, prepend=0.0) * precision).sum() / right[-1])


def rank(scores: NDArray[np.floating], is_true: NDArray[np.bool_]) -> Ranking:
    """Sort (N,) cases."""
    order = np.argsort(-scores, kind="stable")
    values = scores[order]
    is_end = np.append(values[1:] != values[:-1], True)[: len(values)]
    return Ranking(order=order, is_true=is_true[order], ends=np.flatnonzero(is_end))


def average_precision(
    scores: NDArray[np.floating], is_true: NDArray[np.bool_], *, weights: NDArray[np.number] | None = None
) -> float:
    """See Ranking."""
    return rank(scores, is_true).average_precision(weights)


def rank_classes(scores: NDArray[np.floating], is_true: NDArray[np.bool_]) -> list[Ranking]:
    """A ranking for each class of (N, K) scores."""
    return [rank(scores[:, k], is_true[:, k]) for k in range(scores.shape[1])]


def average_precisions(
    rankings: Sequence[Ranking], *, weights: NDArray[np.number] | None = None
) -> NDArray[np.float64]:
    """(K,) average precision of each class; nan for a class that nothing shows."""
    return np.array([ranking.average_precision(weights) for ranking in rankings])


def mean_of_known(values: NDArray[np.float64]) -> float:
    """The mean of values that are no nan; nan of none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
