"""Quantiles of a column within 1 %, from a sketch that merges exactly."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from inference_core.stats.json_record import NO_EXTRA, Count, Integer

RELATIVE_ACCURACY = 0.01
"""A quantile is at most this share away from the true one."""
MIN_VALUE = 1e-6
"""Smaller values count as 0."""
MAX_VALUE = 1e9
"""Larger values count as this."""
GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
"""Upper end of a bin divided by its lower end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileSketch:
    """DDSketch over [1e-6, 1e9]: integer counts in logarithmic bins, at most 1,728 of them.

    The ``ddsketch`` library is the reference in the tests. It is not used here because it is mutable, counts in
    floats, adds one value at a time, and is either unbounded or loses accuracy when its store collapses, by an
    amount that depends on the order of merging. Fixed ends bound the size without that.

    Source: Masson, Rim and Lee, DDSketch: a fast and fully-mergeable quantile sketch with relative-error
    guarantees, VLDB 2019, sections 2.1 and 2.2.
    """

    __pydantic_config__ = NO_EXTRA

    num_zeros: Count
    """Values below 1e-6, negative ones too."""
    bins: tuple[tuple[Integer, Count], ...]
    """(key, count) by rising key; bin ``key`` holds values in (GAMMA^(key - 1), GAMMA^key]."""

    def __post_init__(self) -> None:
        if any(a[0] >= b[0] for a, b in pairwise(self.bins)):
            raise ValueError("bins must have rising keys")

    @classmethod
    def empty(cls) -> QuantileSketch:
        """The sketch of no values."""
        return cls(num_zeros=0, bins=())

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> QuantileSketch:
        """Fold (N,) values; NaN and infinite ones are left out."""
        finite = values[np.isfinite(values)]
        positive = np.minimum(finite[finite >= MIN_VALUE], MAX_VALUE)
        keys = np.ceil(np.log2(positive) / math.log2(GAMMA)).astype(np.int64)
        found, counts = np.unique(keys, return_counts=True)
        bins = tuple(zip(found.tolist(), counts.tolist(), strict=True))
        return cls(num_zeros=finite.size - positive.size, bins=bins)

    def merge(self, other: QuantileSketch) -> QuantileSketch:
        """The sketch of both sets of values. Exact, associative and commutative."""
        counts = Counter(dict(self.bins))
        counts.update(dict(other.bins))
        return QuantileSketch(num_zeros=self.num_zeros + other.num_zeros, bins=tuple(sorted(counts.items())))

    @property
    def count(self) -> int:
        """How many values were folded."""
        return self.num_zeros + sum(count for _, count in self.bins)

    def quantile(self, q_frac: float) -> float | None:
        """The value at rank ``floor(q_frac * (count - 1))`` from 0, within 1 %; None of nothing.

        Raises:
            ValueError: q_frac is not in [0, 1].
        """
        rank = rank_of(q_frac, count=self.count)
        return self.value_at(rank) if self.count else None

    def value_at(self, rank: int) -> float:
        """The value of which ``rank`` others, 0 to count - 1, are not greater, within 1 %."""
        if rank < self.num_zeros:
            return 0.0
        seen = accumulate(count for _, count in self.bins)
        key = next(key for (key, _), num in zip(self.bins, seen, strict=True) if num > rank - self.num_zeros)
        return float(GAMMA**key * 2 / (1 + GAMMA))


def rank_of(q_frac: float, *, count: int) -> int:
    """The rank from 0 of a quantile among ``count`` values; -1 or 0 of none.

    Raises:
        ValueError: q_frac is not in [0, 1].
    """
    if not 0 <= q_frac <= 1:
        raise ValueError(f"q_frac must be in [0, 1], got {q_frac}; 0.5 is the median")
    return math.floor(q_frac * (count - 1))
