from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.sketch import MIN_VALUE, RELATIVE_ACCURACY
from inference_core.stats.unit_sketch import UnitSketch

QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
scores = st.floats(0, 1) | st.sampled_from([0.0, 0.5, math.nextafter(0.5, 0), math.nextafter(1, 0), 1.0])
columns = st.lists(scores, max_size=40).map(lambda values: np.array(values, dtype=np.float64))


def test_nothing_has_no_quantile() -> None:
    assert UnitSketch.of(np.empty(0)) == UnitSketch.empty()
    assert UnitSketch.empty().quantile(0.5) is None


def test_values_outside_count_as_the_nearest_end_and_not_finite_ones_not_at_all() -> None:
    sketch = UnitSketch.of(np.array([-3.0, 1.5, math.nan, math.inf, -math.inf]))
    assert (sketch.count, sketch.quantile(0.0), sketch.quantile(1.0)) == (2, 0.0, 1.0)


@given(columns.filter(len), st.sampled_from(QUANTILES))
def test_a_quantile_is_near_the_true_one_at_both_ends(values: np.ndarray, q_frac: float) -> None:
    true = float(np.quantile(values, q_frac, method="lower"))
    found = UnitSketch.of(values).quantile(q_frac)
    assert found is not None
    error = RELATIVE_ACCURACY * min(true, 1 - true)
    assert abs(found - true) <= max(error * (1 + 1e-9), MIN_VALUE)


def test_scores_that_crowd_at_one_are_told_apart() -> None:
    sketch = UnitSketch.of(np.array([0.99, 0.999, 0.9999]))
    assert [sketch.quantile(q_frac) for q_frac in (0.0, 0.5, 1.0)] == pytest.approx([0.99, 0.999, 0.9999], abs=1e-4)


@given(columns)
def test_quantiles_rise(values: np.ndarray) -> None:
    found = [UnitSketch.of(values).quantile(q_frac) or 0.0 for q_frac in QUANTILES]
    assert found == sorted(found)


@given(columns, columns, columns)
def test_merge_is_exact_associative_and_commutative(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    x, y, z = map(UnitSketch.of, (a, b, c))
    assert x.merge(y) == y.merge(x) == UnitSketch.of(np.concatenate([a, b]))
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(UnitSketch.empty()) == x


@pytest.mark.parametrize("q_frac", [-0.1, 1.1, math.nan])
def test_a_rank_outside_0_to_1_is_refused(q_frac: float) -> None:
    with pytest.raises(ValueError, match=r"q_frac must be in \[0, 1\], got .*; 0.5 is the median"):
        UnitSketch.empty().quantile(q_frac)
