from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.json_record import json_from_record, record_from_json
from inference_core.stats.moments import Moments

columns = st.lists(
    st.floats(-1000, 1000, width=32) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0]), max_size=30
).map(np.array)
columns = columns.map(lambda values: values.astype(np.float64))


def test_nothing_has_no_mean_no_spread_and_no_ends() -> None:
    moments = Moments.of(np.empty(0))
    assert (moments.count, moments.mean, moments.std, moments.minimum, moments.maximum) == (0, None, None, None, None)
    assert moments == Moments.empty()
    assert moments.sum == 0


def test_one_value_has_no_spread() -> None:
    moments = Moments.of(np.array([0.75]))
    assert (moments.mean, moments.std, moments.minimum, moments.maximum) == (0.75, 0.0, 0.75, 0.75)


def test_values_that_are_not_finite_are_counted_apart() -> None:
    moments = Moments.of(np.array([math.nan, 0.5, math.inf, -math.inf]))
    assert (moments.count, moments.num_not_finite, moments.mean, moments.maximum) == (1, 3, 0.5, 0.5)


def test_mean_spread_and_ends_agree_with_numpy() -> None:
    values = np.random.default_rng(0).random(10_000)
    moments = Moments.of(values)
    assert moments.sum == pytest.approx(values.sum(), abs=1e-5)  # 10,000 roundings of at most 2^-33
    assert moments.mean == pytest.approx(values.mean(), abs=2e-10)
    assert moments.std == pytest.approx(values.std(), abs=2e-10)
    assert (moments.minimum, moments.maximum) == (values.min(), values.max())


def test_a_small_spread_around_a_large_mean_is_not_lost() -> None:
    # in float64, E[x^2] - E[x]^2 gives 0 or less here
    values = np.array([1e9, 1e9 + 1, 1e9 + 2])
    assert Moments.of(values, fraction_bits=0).std == pytest.approx(math.sqrt(2 / 3), rel=1e-15)


@given(columns, columns)
def test_merge_equals_the_fold_of_both(a: np.ndarray, b: np.ndarray) -> None:
    assert Moments.of(a).merge(Moments.of(b)) == Moments.of(np.concatenate([a, b]))


@given(columns, columns, columns)
def test_merge_is_an_exact_commutative_monoid(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    x, y, z = Moments.of(a), Moments.of(b), Moments.of(c)
    assert x.merge(y) == y.merge(x)
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(Moments.empty()) == x


@given(columns)
def test_json_round_trip_is_exact(values: np.ndarray) -> None:
    moments = Moments.of(values)
    assert record_from_json(Moments, json_from_record(moments), name="moments") == moments


@pytest.mark.parametrize("values", [[-0.0, 0.0], [0.0, -0.0]], ids=["negative-first", "positive-first"])
def test_the_zeros_are_one_value_so_that_the_text_does_not_depend_on_order(values: list[float]) -> None:
    parts = [Moments.of(np.array([value])) for value in values]
    assert repr(parts[0].merge(parts[1]).minimum) == "0.0"


def test_merging_different_resolutions_is_refused() -> None:
    with pytest.raises(ValueError, match="fraction_bits must be 32 to be merged, got 0; fold both alike"):
        Moments.empty().merge(Moments.empty(fraction_bits=0))


def test_values_without_ends_are_refused() -> None:
    data = json_from_record(Moments.of(np.array([1.0]))) | {"minimum": None}
    with pytest.raises(ValueError, match="minimum and maximum must be given"):
        record_from_json(Moments, data, name="moments")
