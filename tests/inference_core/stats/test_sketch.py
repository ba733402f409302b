from __future__ import annotations

import math

import numpy as np
import pytest
from ddsketch import DDSketch
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.sketch import MAX_VALUE, MIN_VALUE, RELATIVE_ACCURACY, QuantileSketch

columns = st.lists(st.floats(0, 1e6) | st.just(0.0), max_size=40).map(lambda values: np.array(values, dtype=np.float64))
QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0)


def test_nothing_has_no_quantile() -> None:
    assert QuantileSketch.of(np.empty(0)) == QuantileSketch.empty()
    assert QuantileSketch.empty().quantile(0.5) is None


def test_zeros_and_negative_values_count_as_zero_and_not_finite_ones_not_at_all() -> None:
    sketch = QuantileSketch.of(np.array([0.0, -5.0, 1e-9, math.nan, math.inf]))
    assert (sketch.count, sketch.num_zeros, sketch.quantile(1.0)) == (3, 3, 0.0)


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("q_frac", QUANTILES)
def test_a_quantile_is_within_one_percent_of_the_true_one(size: int, q_frac: float) -> None:
    values = np.random.default_rng(size).lognormal(2, 2, size)
    true = np.quantile(values, q_frac, method="lower")
    assert QuantileSketch.of(values).quantile(q_frac) == pytest.approx(true, rel=RELATIVE_ACCURACY * (1 + 1e-9))


def test_quantiles_agree_with_the_ddsketch_library() -> None:
    values = np.concatenate([np.zeros(50), np.random.default_rng(1).lognormal(0, 3, 5000)])
    library = DDSketch(RELATIVE_ACCURACY)
    for value in values.tolist():
        library.add(value)
    ours = QuantileSketch.of(values)
    for q_frac in np.linspace(0, 1, 101).tolist():
        # both give the middle of the same bin; they differ in how they compute the logarithm's base
        assert ours.quantile(q_frac) == pytest.approx(library.get_quantile_value(q_frac), rel=1e-9)


@given(columns, columns, columns)
def test_merge_is_exact_associative_and_commutative(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    x, y, z = map(QuantileSketch.of, (a, b, c))
    assert x.merge(y) == y.merge(x) == QuantileSketch.of(np.concatenate([a, b]))
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(QuantileSketch.empty()) == x


@given(columns)
def test_quantiles_rise(values: np.ndarray) -> None:
    found = [QuantileSketch.of(values).quantile(q_frac) for q_frac in QUANTILES]
    assert found == sorted(found, key=lambda value: value or 0.0)


def test_the_number_of_bins_is_bounded_by_the_range() -> None:
    widest = np.concatenate([np.geomspace(MIN_VALUE, MAX_VALUE, 200_000), [1e300]])
    assert len(QuantileSketch.of(widest).bins) == 1728


@pytest.mark.parametrize("q_frac", [-0.1, 1.1, math.nan])
def test_a_rank_outside_0_to_1_is_refused(q_frac: float) -> None:
    with pytest.raises(ValueError, match=r"q_frac must be in \[0, 1\], got .*; 0.5 is the median"):
        QuantileSketch.empty().quantile(q_frac)


def test_bins_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="bins must have rising keys"):
        QuantileSketch(num_zeros=0, bins=((2, 1), (1, 1)))
