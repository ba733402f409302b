from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from inference_core.evaluation.metrics.intervals import Interval, bootstrap, wilson


@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (0, 30), (30, 30), (52, 100), (1, 7), (999_000, 1_000_000)]
)
@pytest.mark.parametrize("level_frac", [0.5, 0.95, 0.99])
def test_wilson_is_scipys(successes: int, trials: int, level_frac: float) -> None:
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(level_frac, method="wilson")
    found = wilson(successes, trials, level_frac=level_frac)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_has_no_interval() -> None:
    assert wilson(0, 0) is None
    assert bootstrap(lambda weights: {"mean": 1.0}, num_images=0) == {}


def mean_of(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, Interval]:
    return bootstrap(lambda weights: {"mean": float(weights @ values / weights.sum())}, num_images=len(values))


def test_a_bootstrap_is_scipys_but_for_chance() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.2, 80)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(1)
    ).confidence_interval
    found = mean_of(values)["mean"]
    # An end of the interval, itself a quantile of 1,000 draws, is off by some 0.05 of a standard error of 0.022.
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.004)


def test_a_bootstrap_is_repeated_to_the_bit() -> None:
    values = np.linspace(0, 1, 20)
    assert mean_of(values) == mean_of(values)


def test_draws_without_the_figure_do_not_count() -> None:
    def statistic(weights: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, float]:
        return {"first": 1.0 if weights[0] else float("nan")}

    assert bootstrap(statistic, num_images=5) == {"first": Interval(low=1.0, high=1.0)}


def test_of_very_many_images_fewer_are_drawn() -> None:
    drawn: list[int] = []

    def statistic(weights: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, float]:
        drawn.append(int(weights.sum()))
        return {}

    bootstrap(statistic, num_images=150_000)
    assert drawn == [150_000] * 133
