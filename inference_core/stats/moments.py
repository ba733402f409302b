"""Count, mean, spread and range of a column, merged without rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from inference_core.stats.fixed_point import REAL_BITS, fixed_from_reals, mean_of_fixed
from inference_core.stats.json_record import NO_EXTRA, BigInteger, Count, Finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Power sums of the finite values of a column, in fixed point.

    Integer sums make ``merge`` exactly associative and commutative, and the variance ``E[x^2] - E[x]^2`` free of
    cancellation. Chan's floating-point update, the usual choice, is neither.
    """

    __pydantic_config__ = NO_EXTRA

    fraction_bits: Count
    """Binary places of ``total``; half of those of ``total_sq``."""
    count: Count
    """Finite values."""
    num_not_finite: Count
    """NaN and infinite values, which count nowhere else."""
    total: BigInteger
    """Sum of the values times 2^fraction_bits."""
    total_sq: BigInteger
    """Sum of the squares times 2^(2 fraction_bits)."""
    minimum: Finite | None
    """Smallest value, unrounded; None of nothing."""
    maximum: Finite | None
    """Largest value, unrounded; None of nothing."""

    def __post_init__(self) -> None:
        if (self.minimum is None, self.maximum is None) != (not self.count,) * 2:
            raise ValueError(f"minimum and maximum must be given where there are values, got {self.count} values")

    @classmethod
    def empty(cls, *, fraction_bits: int = REAL_BITS) -> Moments:
        """The moments of no values."""
        return cls.of(np.empty(0), fraction_bits=fraction_bits)

    @classmethod
    def of(cls, values: NDArray[np.float64], *, fraction_bits: int = REAL_BITS) -> Moments:
        """Fold (N,) values, below 1e140 in magnitude; integers want ``fraction_bits=0``."""
        finite = values[np.isfinite(values)]
        fixed = fixed_from_reals(finite, fraction_bits=fraction_bits)
        return cls(
            fraction_bits=fraction_bits,
            count=len(fixed),
            num_not_finite=values.size - finite.size,
            total=sum(fixed),
            total_sq=sum(value * value for value in fixed),
            minimum=float(finite.min()) + 0.0 if fixed else None,  # adding 0 makes -0.0 and 0.0 one value
            maximum=float(finite.max()) + 0.0 if fixed else None,
        )

    def merge(self, other: Moments) -> Moments:
        """The moments of both columns together. Exact, associative and commutative.

        Raises:
            ValueError: the two keep different numbers of binary places.
        """
        if self.fraction_bits != other.fraction_bits:
            raise ValueError(
                f"fraction_bits must be {self.fraction_bits} to be merged, got {other.fraction_bits}; fold both alike"
            )
        return Moments(
            fraction_bits=self.fraction_bits,
            count=self.count + other.count,
            num_not_finite=self.num_not_finite + other.num_not_finite,
            total=self.total + other.total,
            total_sq=self.total_sq + other.total_sq,
            minimum=min((v for v in (self.minimum, other.minimum) if v is not None), default=None),
            maximum=max((v for v in (self.maximum, other.maximum) if v is not None), default=None),
        )

    @property
    def sum(self) -> float:
        """Sum of the values, rounded once."""
        return float(Fraction(self.total, 1 << self.fraction_bits))

    @property
    def mean(self) -> float | None:
        """Mean, None of nothing."""
        return mean_of_fixed(self.total, count=self.count, fraction_bits=self.fraction_bits)

    @property
    def std(self) -> float | None:
        """Population standard deviation (divided by N), None of nothing."""
        if not self.count:
            return None
        variance = Fraction(self.total_sq * self.count - self.total**2, (self.count << self.fraction_bits) ** 2)
        return math.sqrt(variance)
