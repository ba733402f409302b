"""Quantiles of numbers between 0 and 1, exact near both ends, from a sketch that merges exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.stats.json_record import NO_EXTRA
from inference_core.stats.sketch import QuantileSketch, rank_of

MIDDLE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSketch:
    """A sketch of the values below 0.5, and one of what the others lack to 1.

    Scores crowd at 1, where 1 % of the value is more than all that tells them apart: 0.99 and 0.9999 would read the
    same. So a quantile is within 1 % of the true one or, from 0.5 on, within 1 % of what the true one lacks to 1.
    """

    __pydantic_config__ = NO_EXTRA

    low: QuantileSketch
    """Of values below 0.5."""
    high: QuantileSketch
    """Of 1 less the values from 0.5 on."""

    @classmethod
    def empty(cls) -> UnitSketch:
        """The sketch of no values."""
        return cls(low=QuantileSketch.empty(), high=QuantileSketch.empty())

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> UnitSketch:
        """Fold (N,) values; those outside [0, 1] count as the nearest end, NaN and infinite ones are left out."""
        is_low = values < MIDDLE
        return cls(low=QuantileSketch.of(values[is_low]), high=QuantileSketch.of(1.0 - values[~is_low]))

    def merge(self, other: UnitSketch) -> UnitSketch:
        """The sketch of both sets of values. Exact, associative and commutative."""
        return UnitSketch(low=self.low.merge(other.low), high=self.high.merge(other.high))

    @property
    def count(self) -> int:
        """How many values were folded."""
        return self.low.count + self.high.count

    def quantile(self, q_frac: float) -> float | None:
        """The value at rank ``floor(q_frac * (count - 1))`` from 0; None of nothing.

        Raises:
            ValueError: q_frac is not in [0, 1].
        """
        rank = rank_of(q_frac, count=self.count)
        if not self.count:
            return None
        if rank < self.low.count:
            return min(self.low.value_at(rank), MIDDLE)
        return 1.0 - min(self.high.value_at(self.count - 1 - rank), MIDDLE)
