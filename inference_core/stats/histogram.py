"""A histogram of numbers between 0 and 1 with fixed bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.stats.json_record import NO_EXTRA, Count

NUM_BINS = 64
"""A power of two: every bin edge is an exact floating-point number, so no value lands in a bin by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitHistogram:
    """Counts of values in 64 equal bins over [0, 1]; the last bin is closed."""

    __pydantic_config__ = NO_EXTRA

    counts: tuple[Count, ...]
    """(64,) how many values fell into each bin."""

    def __post_init__(self) -> None:
        if len(self.counts) != NUM_BINS:
            raise ValueError(f"counts must have {NUM_BINS} bins, got {len(self.counts)}")

    @classmethod
    def empty(cls) -> UnitHistogram:
        """The histogram of no values."""
        return cls(counts=(0,) * NUM_BINS)

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> UnitHistogram:
        """Fold (N,) values. Those outside [0, 1] count in the nearest bin, those not finite nowhere."""
        finite = values[np.isfinite(values)]
        bins = np.floor(np.clip(finite, 0.0, 1.0) * NUM_BINS).astype(np.int64)
        return cls(counts=tuple(np.bincount(np.minimum(bins, NUM_BINS - 1), minlength=NUM_BINS).tolist()))

    def merge(self, other: UnitHistogram) -> UnitHistogram:
        """The histogram of both sets of values. Exact, associative and commutative."""
        return UnitHistogram(counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def count(self) -> int:
        """How many values were folded."""
        return sum(self.counts)
