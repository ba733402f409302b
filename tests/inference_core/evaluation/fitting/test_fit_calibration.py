from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import sklearn.calibration
import sklearn.isotonic
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.errors import ConfigError
from inference_core.evaluation.fitting.fit_isotonic import MAX_KNOTS, fit_isotonic
from inference_core.evaluation.fitting.fit_platt import fit_platt
from inference_core.evaluation.fitting.fit_temperature import (
    MIN_TEMPERATURE,
    fit_label_temperature,
    fit_temperature,
    fit_temperature_by_class,
)
from inference_core.evaluation.metrics.reliability import nll_of_classes, reliability


def overconfident(num_images: int, *, temperature: float, num_classes: int = 5) -> tuple[Any, Any]:
    """Logits that are too large by a factor, and truths drawn by the scores that they should have had."""
    random = np.random.default_rng(num_images)
    logits = random.normal(0, 1.5, (num_images, num_classes))
    scores = scipy.special.softmax(logits, axis=1)
    truth = (scores.cumsum(axis=1) > random.random((num_images, 1))).argmax(axis=1)
    return logits * temperature, truth


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_temperature_is_found_again(temperature: float) -> None:
    logits, truth = overconfident(4000, temperature=temperature)
    assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.05)


def test_a_temperature_is_the_one_that_torch_finds() -> None:
    logits, truth = overconfident(300, temperature=2.0)
    log_temperature = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, tolerance_grad=1e-10)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            torch.from_numpy(logits) / log_temperature.exp(), torch.from_numpy(truth)
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    assert fit_temperature(logits, truth) == pytest.approx(float(log_temperature.detach().exp()), abs=2e-4)


def test_logarithms_of_scores_are_as_good_as_logits() -> None:
    logits, truth = overconfident(200, temperature=2.0)
    scores = scipy.special.softmax(logits, axis=1)
    assert fit_temperature(np.log(scores), truth) == fit_temperature(logits, truth)


def test_without_a_mistake_the_temperature_ends_at_its_limit() -> None:
    logits = 5 * np.eye(3)
    assert fit_temperature(logits, np.arange(3)) == pytest.approx(MIN_TEMPERATURE, abs=1e-3)


def test_classes_that_are_often_the_best_have_their_own_temperature() -> None:
    logits, truth = overconfident(2000, temperature=1.0, num_classes=3)
    hot = logits.argmax(axis=1) == 0
    logits[hot] *= 3
    logits = np.concatenate([logits, np.full((2000, 1), -50.0)], axis=1)  # a class that is never the best
    shared, own = fit_temperature_by_class(logits, truth)
    assert sorted(own) == [0, 1, 2]
    assert own[0] == pytest.approx(3, rel=0.15)
    assert own[1] == pytest.approx(1, rel=0.15)
    assert own[1] < shared < own[0]


def test_a_fitted_temperature_lowers_the_error_on_other_images() -> None:
    logits, truth = overconfident(2000, temperature=3.0)
    temperature = fit_temperature(logits[:1000], truth[:1000])
    before, after = (scipy.special.softmax(logits[1000:] / t, axis=1) for t in (1.0, temperature))
    assert nll_of_classes(after, truth[1000:]).mean() < nll_of_classes(before, truth[1000:]).mean()
    errors = [reliability(one.max(axis=1), one.argmax(axis=1) == truth[1000:]).ece for one in (before, after)]
    assert errors[1] < errors[0] / 3


def drawn_labels(num_images: int, *, slope: float, offset: float) -> tuple[Any, Any]:
    random = np.random.default_rng(num_images)
    logits = random.normal(0, 2, num_images)
    return logits, random.random(num_images) < scipy.special.expit(slope * logits + offset)


def test_a_label_temperature_is_found_again() -> None:
    logits, is_true = drawn_labels(8000, slope=0.5, offset=0.0)
    assert fit_label_temperature(logits, is_true) == pytest.approx(2, rel=0.1)


def test_platt_is_scikit_learns() -> None:
    logits, is_true = drawn_labels(400, slope=0.7, offset=-1.0)
    found = fit_platt(logits, is_true)
    expected = sklearn.calibration._SigmoidCalibration().fit(logits, is_true)
    # Theirs is 1 / (1 + exp(a x + b)), and stops a little earlier.
    assert (found.a, found.b) == pytest.approx((-expected.a_, -expected.b_), abs=1e-3)


def test_platt_of_labels_that_a_line_divides_is_finite() -> None:
    logits = np.linspace(-3, 3, 40)
    found = fit_platt(logits, logits > 0)
    assert 1 < found.a < 10


@pytest.mark.parametrize(
    ("fit", "values"),
    [(fit_label_temperature, "logits"), (fit_platt, "logits"), (fit_isotonic, "scores")],
    ids=["temperature", "platt", "isotonic"],
)
def test_weights_are_repetitions(fit: Any, values: str) -> None:
    logits, is_true = drawn_labels(200, slope=0.7, offset=-0.5)
    given_values = logits if values == "logits" else scipy.special.expit(logits)
    weights = (np.arange(200) % 3).astype(np.int64)
    repeated = fit(np.repeat(given_values, weights), np.repeat(is_true, weights))
    assert fit(given_values, is_true, weights=weights.astype(np.float64)) == repeated


@pytest.mark.parametrize(
    ("is_true", "message"),
    [
        pytest.param(
            [True] * 30, "platt of cat must be fitted on at least 5 true and 5 untrue labels, got 30 and 0", id="one"
        ),
        pytest.param([True] * 15 + [False] * 15, "scores of cat must rise with the truth", id="upside-down"),
    ],
)
def test_platt_refuses_what_has_no_slope(is_true: list[bool], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_platt(np.linspace(-1, 1, 30), np.array(is_true), name="cat")


@given(scores=arrays(np.float64, st.integers(2, 40), elements=st.integers(0, 20).map(lambda k: k / 20)), data=st.data())
def test_isotonic_is_scikit_learns_at_every_score(scores: np.ndarray[Any, Any], data: st.DataObject) -> None:
    is_true = data.draw(arrays(np.bool_, len(scores)))
    curve = fit_isotonic(scores, is_true)
    model = sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").fit(scores, is_true)
    np.testing.assert_allclose(np.interp(scores, curve.x, curve.y), model.predict(scores), atol=2e-6)


def test_a_curve_of_many_steps_is_thinned() -> None:
    random = np.random.default_rng(0)
    scores = random.random(20_000)
    is_true = random.random(20_000) < scores
    curve = fit_isotonic(scores, is_true)
    assert len(curve.x) <= MAX_KNOTS
    model = sklearn.isotonic.IsotonicRegression(out_of_bounds="clip").fit(scores, is_true)
    gaps = np.abs(np.interp(scores, curve.x, curve.y) - model.predict(scores))
    assert gaps.mean() < 0.01
