"""Real numbers as integers, so that sums do not depend on the order of their terms.

Floating-point addition is not associative: merging shards in another grouping would change the last bits of a
report. A value is therefore rounded once to a multiple of 2^-32 (2.3e-10, finer than a float32 above 2^-8), and
everything after that is exact integer arithmetic.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

REAL_BITS = 32
"""Binary places kept of a score, a share or a time in milliseconds."""


def fixed_from_reals(values: NDArray[np.float64], *, fraction_bits: int) -> list[int]:
    """``values * 2^fraction_bits``, rounded half to even.

    Args:
        values: (N,) finite, below 1e290 in magnitude.
        fraction_bits: binary places kept; 0 for integers.
    """
    return list(map(int, np.rint(np.ldexp(values, fraction_bits)).tolist()))


def mean_of_fixed(total: int, *, count: int, fraction_bits: int) -> float | None:
    """The mean of ``count`` fixed-point values that sum to ``total``, correctly rounded; None of nothing."""
    return float(Fraction(total, count << fraction_bits)) if count else None
