"""What is fitted on scores is what a package does to its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

from inference_core.calibration_spec import CalibrationSpec
from inference_core.errors import ConfigError
from inference_core.evaluation.fit_calibration import (
    Method,
    calibrated_levels,
    calibrated_scores,
    fit_class_calibration,
    fit_label_calibration,
    fit_pixel_calibration,
    plain_spec,
)
from inference_core.evaluation.fitting.threshold_curve import best_point, sweep_levels
from inference_core.spec import ModelSpec
from inference_core.tasks.build import build_task
from tests.specs import model_spec

MULTILABEL: dict[str, Any] = {"task": "multilabel", "output": {"activation": "sigmoid"}}
CURVE = {"x": [0.1, 0.5, 0.9], "y": [0.0, 0.4, 0.6]}
HALF = np.arange(600) < 300


def scores_of(spec: ModelSpec, outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(N, K) scores by class id, as the package's task gives them."""
    whole = spec.model_copy(update={"output": spec.output.model_copy(update={"top_k": len(spec.classes)})})
    raw = build_task(whole).reduce({"logits": outputs.astype(np.float32)}, tile_hw=(8, 8))
    scores = np.zeros(raw["scores"].shape)
    np.put_along_axis(scores, np.asarray(raw["class_ids"], np.int64), np.asarray(raw["scores"], np.float64), axis=1)
    return scores


@pytest.mark.parametrize(
    ("options", "calibration"),
    [
        pytest.param({}, {"temperature": 2.5}, id="softmax"),
        pytest.param({}, {"temperature": {"red": 0.5, "blue": 3}}, id="softmax-by-class"),
        pytest.param({"output": {"skip_classes": 1}}, {"temperature": 2.5}, id="skipped-output"),
        pytest.param({"output": {"skip_classes": 1}}, {"temperature": {"green": 2}}, id="skipped-output-by-class"),
        pytest.param({"output": {"activation": "sigmoid"}}, {"temperature": {"red": 2}}, id="sigmoid-by-best-class"),
        pytest.param({"output": {"activation": "sigmoid"}}, {"platt": {"a": 0.5, "b": -1}}, id="sigmoid-platt"),
        pytest.param({"output": {"activation": "none"}}, {"temperature": 2.5}, id="scores-of-the-model"),
        pytest.param(MULTILABEL, {"temperature": 2.5}, id="labels"),
        pytest.param(MULTILABEL, {"temperature": {"red": 0.5}}, id="labels-by-class"),
        pytest.param(MULTILABEL, {"platt": {"red": {"a": 0.5, "b": 1}}}, id="labels-platt"),
        pytest.param(MULTILABEL, {"isotonic": CURVE}, id="labels-isotonic"),
        pytest.param(
            MULTILABEL | {"output": {"activation": "none"}},
            {"isotonic": {"blue": CURVE}},
            id="scores-isotonic-by-class",
        ),
        pytest.param(MULTILABEL | {"output": {"activation": "none"}}, {"platt": {"a": 2, "b": 1}}, id="scores-platt"),
    ],
)
def test_scores_are_calibrated_as_the_package_does_it(options: Any, calibration: Any) -> None:
    spec = model_spec(options | {"calibration": calibration})
    num_outputs = len(spec.classes) + spec.output.skip_classes
    outputs = np.random.default_rng(0).normal(0, 2, (50, num_outputs))
    if spec.output.activation == "none":
        outputs = scipy.special.softmax(outputs, axis=1) if spec.scores_compete else scipy.special.expit(outputs)
    found = calibrated_scores(scores_of(plain_spec(spec), outputs), spec, spec.calibration)
    np.testing.assert_allclose(found, scores_of(spec, outputs), atol=2e-5)


def drawn_classes(spec: ModelSpec, *, temperature: float) -> tuple[Any, Any]:
    """600 images whose outputs are too large by a factor."""
    random = np.random.default_rng(1)
    logits = random.normal(0, 1.5, (600, 3))
    truth = (scipy.special.softmax(logits, axis=1).cumsum(axis=1) > random.random((600, 1))).argmax(axis=1)
    return scores_of(spec, logits * temperature), truth


@pytest.mark.parametrize("method", ["temperature", "temperature-by-class"])
def test_classes_become_as_right_as_they_claim(method: Method) -> None:
    spec = model_spec()
    scores, truth = drawn_classes(spec, temperature=3.0)
    found = fit_class_calibration(scores, truth, HALF, spec=spec, method=method)
    assert (found.num_fitted, found.num_measured) == (300, 300)
    assert found.after.ece < found.before.ece / 2
    assert found.after.nll < found.before.nll
    assert found.after.brier < found.before.brier
    temperature = found.calibration.temperature
    values = list(temperature.values()) if isinstance(temperature, dict) else [temperature]
    assert values == pytest.approx([3.0] * len(values), rel=0.35)


def test_rare_classes_have_the_temperature_of_all() -> None:
    spec = model_spec({"classes": ["red", "green", "blue"]})
    scores, truth = drawn_classes(spec, temperature=2.0)
    scores[:, 2] /= 1e6
    scores /= scores.sum(axis=1, keepdims=True)
    found = fit_class_calibration(scores, truth, HALF, spec=spec, method="temperature-by-class")
    assert isinstance(found.calibration.temperature, dict)
    assert set(found.calibration.temperature) == {"red", "green", "blue"}
    assert found.warnings[0].startswith("1 of 3 classes are the best of fewer than 20 images and have the temperature")


@pytest.mark.parametrize("method", ["temperature", "platt", "platt-by-class", "isotonic", "isotonic-by-class"])
def test_labels_become_as_right_as_they_claim(method: Method) -> None:
    spec = model_spec(MULTILABEL)
    random = np.random.default_rng(2)
    logits = random.normal(0, 1.5, (600, 3))
    is_true = random.random((600, 3)) < scipy.special.expit(logits - (0 if method == "temperature" else 1))
    scores = scores_of(spec, logits * 3)
    found = fit_label_calibration(scores, is_true, HALF, spec=spec, method=method)
    assert found.after.ece < found.before.ece / 2
    assert found.after.nll < found.before.nll
    assert found.calibration.kind == method.removesuffix("-by-class")
    assert bool(found.calibration.named_classes) == method.endswith("by-class")


def test_a_class_that_nobody_shows_stays_as_it_is() -> None:
    spec = model_spec(MULTILABEL)
    random = np.random.default_rng(2)
    scores = random.random((600, 3))
    is_true = random.random((600, 3)) < scores
    is_true[:, 1] = False
    found = fit_label_calibration(scores, is_true, HALF, spec=spec, method="platt-by-class")
    assert found.calibration.named_classes == ("red", "blue")
    assert "1 of 3 classes have fewer than 5 true or untrue labels to fit on and stay as they are" in found.warnings
    with pytest.raises(ConfigError, match="platt-by-class must have a class with 5 true and 5 untrue labels"):
        fit_label_calibration(scores, np.zeros_like(is_true), HALF, spec=spec, method="platt-by-class")


VESSELS = {"task": "segmentation", "classes": ["background", "vessel"], "output": {"activation": "sigmoid"}}


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_pixels_become_as_right_as_they_claim(method: Method) -> None:
    spec = model_spec(VESSELS)
    random = np.random.default_rng(3)
    counts = np.zeros((4, 2, 256), np.int64)
    for image in range(4):
        logits = random.normal(-1, 2, 20_000)
        truth = random.random(20_000) < scipy.special.expit(logits)
        levels = np.rint(scipy.special.expit(2.5 * logits) * 255).astype(int)
        np.add.at(counts[image], (truth.astype(int), levels), 1)
    is_fitted = np.array([True, True, False, False])
    found = fit_pixel_calibration(counts, is_fitted, spec=spec, method=method)
    assert found.after.ece < found.before.ece / 3
    assert found.after.nll < found.before.nll
    # A rising curve moves the best threshold, not what it divides.
    moved = calibrated_levels(spec, found.calibration)
    assert (np.diff(moved) >= 0).all()
    best = best_point(sweep_levels(counts[~is_fitted].sum(axis=0)), goal="dice")
    assert 0 < np.interp(best.threshold, np.arange(256) / 255, moved) < 1
    with pytest.raises(ConfigError, match="--method: must be temperature or platt or isotonic for segmentation of 2"):
        fit_pixel_calibration(counts, is_fitted, spec=spec, method="platt-by-class")
    with pytest.raises(ConfigError, match=f"{method} must be fitted on at least 2 labelled images, got 1"):
        fit_pixel_calibration(counts, np.arange(4) == 0, spec=spec, method=method)


def test_levels_without_a_calibration_are_themselves() -> None:
    levels = calibrated_levels(model_spec(VESSELS), CalibrationSpec())
    np.testing.assert_allclose(levels[1:-1], np.arange(1, 255) / 255)
