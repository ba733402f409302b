"""Thresholds without labels: the levels that best divide a histogram into groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ConfigError

MAX_GROUPS = 5
"""More than a histogram of scores tells apart."""


def multi_otsu(counts: NDArray[np.number], *, num_groups: int) -> list[float]:
    """The thresholds between groups that differ most.

    Args:
        counts: (L,) values in L equal bins over [0, 1].
        num_groups: 2 is Otsu's method.

    Returns:
        ``num_groups - 1`` rising edges of bins, as shares of the range: a value from an edge on is in the upper group.

    Raises:
        ConfigError: the groups are too many, or fewer bins than groups hold anything.

    Source: Liao, Chen and Chung, A Fast Algorithm for Multilevel Thresholding, Journal of Information Science and
    Engineering 17, 2001: the variance between groups, here by dynamic programming, which is exact.
    """
    if not 2 <= num_groups <= MAX_GROUPS:
        raise ConfigError(f"must be 2 to {MAX_GROUPS} groups, got {num_groups}; 2 is Otsu's method", key="--otsu")
    filled = int(np.count_nonzero(counts))
    if filled < num_groups:
        raise ConfigError(
            f"must be at most the {filled} different scores that there are, got {num_groups} groups; take fewer, or a "
            "sample with more of them",
            key="--otsu",
        )
    gains = group_gains(counts.astype(np.float64))
    best, choice = gains[0].copy(), []
    for _ in range(num_groups - 1):
        # best[j]: of bins 0 to j in one group fewer; the last group begins at some i behind the others.
        totals = best[:-1, None] + gains[1:, 1:]  # (L - 1, L - 1): i - 1 by j
        totals[np.tril_indices(len(totals), -1)] = -np.inf
        choice.append(totals.argmax(axis=0))
        best = np.concatenate([[-np.inf], totals.max(axis=0)])
    edges, last = [], len(counts) - 1
    for chosen in reversed(choice):
        last = int(chosen[last - 1])
        edges.append((last + 1) / len(counts))
    return edges[::-1]


def group_gains(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(L, L) what the bins i to j add to the variance between groups as one group; -inf where it would hold nothing."""
    mass = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * np.arange(len(counts)))])
    weights = mass[None, 1:] - mass[:-1, None]
    sums = moment[None, 1:] - moment[:-1, None]
    gains = np.where(weights > 0, sums**2 / np.where(weights > 0, weights, 1), -np.inf)
    gains[np.tril_indices(len(counts), -1)] = -np.inf
    return gains
