"""What is explained where an answer comes from several forwards, or its scores are calibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.explain.explainer import Explainer
from inference_core.predictor import Predictor
from inference_core.records import Uint8Array
from tests.explained_nets import explained_package

GRADIENTS = ("gradcam", "saliency", "integrated_gradients")
ALL = (*GRADIENTS, "occlusion")


@pytest.fixture
def lamp() -> Uint8Array:
    """A bright square on a dark ground."""
    pixels = np.random.default_rng(2).integers(20, 60, (48, 48, 3), np.uint8)
    pixels[24:36, 12:24] = 250
    return pixels


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "occlusion"])
def test_the_class_is_that_of_the_merged_answer(method: str, tmp_path: Path) -> None:
    # Grey at the lower right, white at the lower left: as it is the image is dark, with its mirror image bright.
    pixels = np.full((32, 32, 3), 102, np.uint8)
    pixels[16:, :16] = 255
    plain = Predictor.load(explained_package(tmp_path / "plain", "corner"), device="cpu")
    merged = Predictor.load(explained_package(tmp_path / "views", "corner", tta=["identity", "hflip"]), device="cpu")
    assert plain.explain(pixels, method=method).label == "dark"
    explanation, answer = merged.explain(pixels, method=method), merged.predict(pixels)
    result: Any = answer.result
    assert (explanation.label, result.labels[0]) == ("bright", "bright")
    assert explanation.score == pytest.approx(result.scores[0], abs=1e-6)
    assert explanation.model_digest == answer.model_digest


@pytest.mark.parametrize("method", GRADIENTS)
@pytest.mark.parametrize(
    ("kind", "several"),
    [
        pytest.param("deep", {"tta": ["identity", "hflip"]}, id="views"),
        pytest.param("dropping", {"dropout": {"samples": 3}}, id="dropout"),
        pytest.param("planes", {"tta": ["identity", "vflip"]}, id="views of masks"),
        pytest.param("cells", {"tta": ["identity", "hflip"]}, id="views of objects"),
    ],
)
def test_gradients_are_those_of_one_plain_forward(
    method: str, kind: str, several: dict[str, Any], lamp: Uint8Array, tmp_path: Path
) -> None:
    plain = Explainer(explained_package(tmp_path / "plain", kind))
    merged = Predictor.load(explained_package(tmp_path / "several", kind, **several), device="cpu")
    explanation = merged.explain(lamp, method=method)
    assert explanation.method == method
    result: Any = merged.predict(lamp).result
    if kind == "cells":
        assert explanation.score == pytest.approx(result.scores[0], abs=1e-5)
        assert explanation.box_xyxy == pytest.approx(result.boxes_xyxy[0].tolist(), abs=1e-3)
        return
    expected = plain.explain(lamp, method=method, class_name=explanation.label)
    np.testing.assert_allclose(explanation.heatmap, expected.heatmap, atol=1e-6)
    assert explanation.value == pytest.approx(expected.value, rel=1e-5)
    told = result.class_scores[explanation.class_id] if kind == "planes" else result.scores[0]
    assert explanation.score == pytest.approx(told, abs=1e-5)


def test_occlusion_asks_all_samples(lamp: Uint8Array, tmp_path: Path) -> None:
    plain, sampled = (
        Explainer(explained_package(tmp_path / name, "dropping", **facts)).explain(lamp, method="occlusion")
        for name, facts in (("plain", {}), ("sampled", {"dropout": {"samples": 3}}))
    )
    assert np.abs(sampled.heatmap - plain.heatmap).max() > 0.1 * np.abs(plain.heatmap).max()


@pytest.mark.parametrize("method", ALL)
def test_calibration_moves_the_score_and_nothing_else(method: str, lamp: Uint8Array, tmp_path: Path) -> None:
    plain = Explainer(explained_package(tmp_path / "plain", "deep")).explain(lamp, method=method)
    package = explained_package(tmp_path / "soft", "deep", calibration={"temperature": 4.0})
    predictor = Predictor.load(package, device="cpu")
    soft, result = predictor.explain(lamp, method=method), predictor.predict(lamp).result
    assert soft.label == plain.label
    assert soft.score == pytest.approx(result.scores[0], abs=1e-6)  # type: ignore[union-attr]
    assert soft.score != pytest.approx(plain.score, abs=1e-3)
    assert soft.value == pytest.approx(plain.value, rel=1e-6)
    np.testing.assert_array_equal(soft.heatmap, plain.heatmap)


def test_a_layer_is_named_through_views(lamp: Uint8Array, tmp_path: Path) -> None:
    package = explained_package(tmp_path, "deep", tta=["identity", "hflip"])
    assert Explainer(package).explain(lamp, layer="stem").layer == "stem"
