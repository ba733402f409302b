from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.evaluation.metrics.reliability import (
    brier_of_classes,
    brier_of_labels,
    nll_of_classes,
    nll_of_labels,
    reliability,
)
from tests.torchvision_shim import import_torchvision

SCORES = arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1))


def drawn(num_images: int, num_classes: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(num_images)
    return random.dirichlet(np.ones(num_classes) * 0.3, num_images), random.integers(0, num_classes, num_images)


@pytest.mark.parametrize("num_bins", [1, 10, 15])
@pytest.mark.parametrize("norm", ["ece", "mce"])
def test_calibration_errors_are_torchmetrics(num_bins: int, norm: str) -> None:
    library = import_torchvision()  # noqa: F841  # kept while torchmetrics, which looks for it, is used
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    scores, truth = drawn(500, 6)
    found = reliability(scores.max(axis=1), scores.argmax(axis=1) == truth, num_bins=num_bins)
    expected = multiclass_calibration_error(
        torch.from_numpy(scores),
        torch.from_numpy(truth),
        num_classes=6,
        n_bins=num_bins,
        norm={"ece": "l1", "mce": "max"}[norm],
    )
    assert getattr(found, norm) == pytest.approx(float(expected), abs=1e-6)  # torchmetrics counts in float32


def test_the_diagram_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    scores = random.random(300)
    is_right = random.random(300) < scores**2
    right, means = sklearn.calibration.calibration_curve(is_right, scores, n_bins=10)
    found = reliability(scores, is_right, num_bins=10)
    np.testing.assert_allclose(found.right_fracs, right)
    np.testing.assert_allclose(found.score_means, means)
    assert found.counts.sum() == 300


@given(scores=SCORES)
def test_weights_are_repetitions(scores: np.ndarray[Any, Any]) -> None:
    is_right = scores > 0.3
    weights = np.arange(len(scores)) % 3
    once = reliability(np.repeat(scores, weights), np.repeat(is_right, weights))
    weighted = reliability(scores, is_right, weights=weights)
    np.testing.assert_allclose(weighted.counts, once.counts)
    np.testing.assert_allclose(weighted.gaps, once.gaps, atol=1e-12)


@given(scores=SCORES)
def test_errors_are_shares_and_the_largest_is_no_smaller_than_the_mean(scores: np.ndarray[Any, Any]) -> None:
    found = reliability(scores, scores > 0.5)
    assert 0 <= found.ece <= found.mce + 1e-12 <= 1 + 1e-12


def test_of_nothing_there_is_no_error() -> None:
    found = reliability(np.empty(0), np.empty(0, np.bool_))
    assert np.isnan([found.ece, found.mce]).all()


def test_scores_at_the_ends_have_a_bin() -> None:
    found = reliability(np.array([0.0, 1.0]), np.array([False, True]))
    assert found.counts[[0, -1]].tolist() == [1, 1]
    assert found.ece == 0


def test_losses_are_scikit_learns() -> None:
    scores, truth = drawn(200, 5)
    assert nll_of_classes(scores, truth).mean() == pytest.approx(
        sklearn.metrics.log_loss(truth, scores, labels=range(5)), rel=1e-9
    )
    # scikit-learn's own scale for more classes than two: 0 to 2.
    expected = sklearn.metrics.brier_score_loss(truth, scores, labels=range(5), scale_by_half=False)
    assert brier_of_classes(scores, truth).mean() == pytest.approx(expected, rel=1e-9)
    one, is_true = scores[:, 0], truth == 0
    assert brier_of_labels(one, is_true).mean() == pytest.approx(sklearn.metrics.brier_score_loss(is_true, one))
    assert nll_of_labels(one, is_true).mean() == pytest.approx(sklearn.metrics.log_loss(is_true, one), rel=1e-9)


def test_certainty_of_what_is_wrong_costs_much_but_not_everything() -> None:
    assert np.isfinite(nll_of_classes(np.array([[1.0, 0.0]]), np.array([1]))).all()
    assert np.isfinite(nll_of_labels(np.array([0.0]), np.array([True]))).all()
