from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.stats.drift import (
    NUM_GROUPS,
    chi_squared_p_value,
    chi_squared_tail,
    drift_of,
    drift_of_classes,
    grouped,
    js_divergence,
    ks_distance,
    ks_p_value,
    psi,
)
from inference_core.stats.histogram import UnitHistogram

COUNTS = arrays(np.int64, 16, elements=st.integers(0, 50)).filter(lambda counts: counts.sum() > 0)


@given(reference=COUNTS, found=COUNTS)
def test_divergence_is_scipys(reference: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> None:
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(scipy.spatial.distance.jensenshannon(reference, found, base=2)) ** 2
    # SciPy's root of a 0 that was rounded below it is nan.
    assert js_divergence(reference, found) == pytest.approx(expected, abs=1e-12)


@given(reference=COUNTS, found=COUNTS)
def test_distance_is_scipys_of_the_bins(reference: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> None:
    values = [np.repeat(np.arange(16), counts) for counts in (reference, found)]
    assert ks_distance(reference, found) == pytest.approx(scipy.stats.ks_2samp(*values).statistic, abs=1e-12)


@given(distance=st.floats(0, 1), sizes=st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)))
def test_its_chance_is_kolmogorovs(distance: float, sizes: tuple[int, int]) -> None:
    x = distance * np.sqrt(sizes[0] * sizes[1] / sum(sizes))
    assert ks_p_value(distance, *sizes) == pytest.approx(scipy.special.kolmogorov(x), abs=1e-9)


@given(reference=COUNTS, found=COUNTS)
def test_the_index_is_the_sum_of_both_divergences(reference: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> None:
    expected, actual = ((counts + 0.5) / (counts + 0.5).sum() for counts in (reference, found))
    both = scipy.stats.entropy(expected, actual) + scipy.stats.entropy(actual, expected)
    assert psi(reference, found) == pytest.approx(both, abs=1e-12)
    assert psi(reference, found) == pytest.approx(psi(found, reference), abs=1e-12)


@given(reference=COUNTS, found=COUNTS)
def test_groups_hold_all_values(reference: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> None:
    one, other = grouped(reference, found)
    assert (one.sum(), other.sum()) == (reference.sum(), found.sum())
    assert len(one) == len(other) <= NUM_GROUPS


def test_of_many_even_values_each_group_is_a_tenth() -> None:
    one, _ = grouped(np.full(100, 7), np.ones(100, np.int64))
    assert one.tolist() == [70] * 10


@given(counts=COUNTS)
def test_what_is_equal_does_not_drift(counts: np.ndarray[Any, Any]) -> None:
    drift = drift_of(counts, counts * 3)
    assert drift is not None
    assert (drift.ks, drift.p_value, drift.level) == (pytest.approx(0, abs=1e-12), 1.0, "none")
    assert drift.js == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("shift", "level"), [(0.0, "none"), (0.04, "moderate"), (0.1, "large")])
def test_levels(shift: float, level: str) -> None:
    random = np.random.default_rng(0)
    histograms = [np.array(UnitHistogram.of(random.normal(mean, 0.1, 5000)).counts) for mean in (0.5, 0.5 + shift)]
    drift = drift_of(histograms[0], histograms[1])
    assert drift is not None
    assert drift.level == level


def test_of_few_values_a_large_index_is_chance() -> None:
    random = np.random.default_rng(1)
    reference = np.array(UnitHistogram.of(random.random(5000)).counts)
    few = np.array(UnitHistogram.of(random.random(8)).counts)
    drift = drift_of(reference, few)
    assert drift is not None
    assert drift.psi > 0.25
    assert drift.level == "none"


@given(reference=COUNTS, found=COUNTS)
def test_the_chance_of_classes_is_scipys(reference: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> None:
    seen = (reference + found) > 0
    if seen.sum() > 1:
        expected = scipy.stats.chi2_contingency(np.stack([reference[seen], found[seen]]), correction=False).pvalue
        assert chi_squared_p_value(reference, found) == pytest.approx(expected, abs=1e-9)
    else:
        assert chi_squared_p_value(reference, found) == 1


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 79, 80, 999, 1000])
@pytest.mark.parametrize("ratio", [0.0, 1e-9, 0.1, 0.9, 1.0, 1.1, 3.0, 40.0])
def test_the_tail_is_scipys(degrees: int, ratio: float) -> None:
    expected = scipy.stats.chi2.sf(ratio * degrees, degrees)
    assert chi_squared_tail(ratio * degrees, degrees=degrees) == pytest.approx(expected, abs=1e-9)


def test_classes_that_vanish_drift() -> None:
    drift = drift_of_classes(np.full(10, 30), np.array([30, 30, 30, 30, 30, 30, 1, 0, 0, 0]))
    assert drift is not None
    assert drift.level == "large"


def test_nothing_cannot_be_compared() -> None:
    assert drift_of(np.zeros(4, np.int64), np.ones(4, np.int64)) is None
    assert drift_of_classes(np.ones(4, np.int64), np.zeros(4, np.int64)) is None


def test_classes_have_no_order() -> None:
    one, other = np.array([50, 30, 20]), np.array([20, 30, 50])
    drift, turned = drift_of_classes(one, other), drift_of_classes(one[[0, 2, 1]], other[[0, 2, 1]])
    assert drift == turned
    assert drift is not None
    assert drift.ks == pytest.approx(0.3)
