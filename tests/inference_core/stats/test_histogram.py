from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.histogram import NUM_BINS, UnitHistogram

columns = st.lists(
    st.floats(0, 1, width=32) | st.sampled_from([k / NUM_BINS for k in range(NUM_BINS + 1)]), max_size=40
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], {}, id="empty"),
        pytest.param([0.0], {0: 1}, id="zero"),
        pytest.param([1.0], {63: 1}, id="one-is-in-the-last-bin"),
        pytest.param([1 / 64, np.nextafter(1 / 64, 0)], {0: 1, 1: 1}, id="edge-opens-its-bin"),
        pytest.param([-3.0, 1.0000001], {0: 1, 63: 1}, id="outside-goes-to-the-ends"),
        pytest.param([math.nan, math.inf], {}, id="not-finite-goes-nowhere"),
    ],
)
def test_values_fall_into_their_bins(values: list[float], expected: dict[int, int]) -> None:
    histogram = UnitHistogram.of(np.array(values, dtype=np.float64))
    assert {k: count for k, count in enumerate(histogram.counts) if count} == expected
    assert histogram.count == sum(expected.values())


@given(columns)
def test_counts_agree_with_numpy_even_on_edges(values: list[float]) -> None:
    expected, _ = np.histogram(values, bins=NUM_BINS, range=(0, 1))
    assert UnitHistogram.of(np.array(values, dtype=np.float64)).counts == tuple(expected.tolist())


@given(columns, columns)
def test_merge_equals_the_fold_of_both(a: list[float], b: list[float]) -> None:
    x, y = (UnitHistogram.of(np.array(values, dtype=np.float64)) for values in (a, b))
    assert x.merge(y) == y.merge(x) == UnitHistogram.of(np.array(a + b, dtype=np.float64))
    assert x.merge(UnitHistogram.empty()) == x


def test_another_number_of_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="counts must have 64 bins, got 3"):
        UnitHistogram(counts=(1, 2, 3))
