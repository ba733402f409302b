from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.fixed_point import REAL_BITS, fixed_from_reals, mean_of_fixed


@pytest.mark.parametrize(
    ("value", "fraction_bits", "expected"),
    [
        pytest.param(0.0, 32, 0, id="zero"),
        pytest.param(1.0, 32, 2**32, id="one"),
        pytest.param(-0.25, 2, -1, id="negative"),
        pytest.param(2.5, 0, 2, id="half-to-even"),
        pytest.param(2.0**100, 32, 2**132, id="beyond-64-bits"),
    ],
)
def test_a_real_becomes_the_nearest_multiple(value: float, fraction_bits: int, expected: int) -> None:
    assert fixed_from_reals(np.array([value]), fraction_bits=fraction_bits) == [expected]


def test_no_values_give_no_integers_and_no_mean() -> None:
    assert fixed_from_reals(np.empty(0), fraction_bits=REAL_BITS) == []
    assert mean_of_fixed(0, count=0, fraction_bits=REAL_BITS) is None


@given(st.floats(2.0**-8, 1, width=32))
def test_a_float32_above_2_to_the_minus_8_is_kept_exactly(value: float) -> None:
    (fixed,) = fixed_from_reals(np.array([value]), fraction_bits=REAL_BITS)
    assert Fraction(fixed, 1 << REAL_BITS) == Fraction(value)


def test_a_mean_is_correctly_rounded() -> None:
    assert mean_of_fixed(2, count=3, fraction_bits=1) == 1 / 3
