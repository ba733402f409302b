"""Answers of several members, each explained by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.errors import ConfigError, UnsupportedError
from inference_core.explain.explainer import Explainer
from inference_core.predictor import Predictor
from inference_core.records import Uint8Array
from inference_core.results import Classification, Detection, MultiLabel, Segmentation
from tests.explained_nets import ensemble_package, explained_package, graph_package
from tests.tiny_models import tiny_classifier

SMALL, LARGE = {"fit": "stretch", "size_hw": [32, 32]}, {"fit": "letterbox", "size_hw": [48, 64]}
GRADIENTS = ("gradcam", "saliency", "integrated_gradients")


@pytest.fixture
def lamp() -> Uint8Array:
    """A bright square on a dark ground."""
    pixels = np.random.default_rng(2).integers(20, 60, (48, 48, 3), np.uint8)
    pixels[24:36, 12:24] = 250
    return pixels


def pair(root: Path, kind: str, *inputs: dict[str, Any], weights: tuple[float, ...] = (1, 3), **spec: Any) -> Any:
    """A net under two inputs, alone and together."""
    alone = [explained_package(root / f"m{index}", kind, input=given, **spec) for index, given in enumerate(inputs)]
    named = dict(zip(("m0", "m1"), weights, strict=True))
    return alone, ensemble_package(root, named, task=alone[0].spec.task)


@pytest.mark.parametrize("method", [*GRADIENTS, "occlusion"])
@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("deep", {}),
        ("deep", {"task": "multilabel", "output": {"activation": "sigmoid"}}),
        ("planes", {}),
        ("cells", {}),
    ],
    ids=["classification", "multilabel", "segmentation", "detection"],
)
def test_members_with_unlike_inputs_are_weighed_in_the_image(
    kind: str, spec: dict[str, Any], method: str, lamp: Uint8Array, tmp_path: Path
) -> None:
    alone, together = pair(tmp_path, kind, SMALL, LARGE, **spec)
    assert together.has_unlike_inputs
    predictor = Predictor.load(together, device="cpu")
    result: Any = predictor.predict(lamp).result
    explanation = predictor.explain(lamp, method=method)
    assert explanation.heatmap.shape == lamp.shape[:2]
    assert np.isfinite(explanation.heatmap).all()
    assert explanation.heatmap.any()
    assert explanation.model_digest == together.digest
    # What is explained, and what is told of it, is the answer of the ensemble.
    assert explanation.score == pytest.approx(best_of(result, explanation.class_id), abs=2e-3)
    if kind == "cells":
        return  # each member explains its own box there
    own = [
        Explainer(package).explain(lamp, method=method, class_name=explanation.label, layer="").heatmap
        for package in alone
    ]
    keeps_units = method in ("integrated_gradients", "occlusion") and kind != "planes"
    scaled = [heat if keeps_units else heat / np.abs(heat).max() for heat in own]
    np.testing.assert_allclose(explanation.heatmap, scaled[0] / 4 + scaled[1] * 3 / 4, atol=1e-4)


def best_of(result: Any, class_id: int) -> float:
    """The score of a class in an answer."""
    if isinstance(result, Classification):
        return float(result.scores[list(result.class_ids).index(class_id)])
    if isinstance(result, MultiLabel):
        return float(result.top_scores[list(result.top_class_ids).index(class_id)])
    if isinstance(result, Segmentation):
        return float(result.class_scores[class_id])
    assert isinstance(result, Detection)
    return float(result.scores[result.class_ids == class_id][0])


def test_members_with_the_same_input_share_it(lamp: Uint8Array, tmp_path: Path) -> None:
    alone, together = pair(tmp_path, "deep", SMALL, SMALL)
    assert not together.has_unlike_inputs
    explanation = Explainer(together).explain(lamp, method="integrated_gradients")
    own = Explainer(alone[0]).explain(lamp, method="integrated_gradients")
    # Twice the same model: the weighted mean is what one of them tells, and still adds up.
    np.testing.assert_allclose(explanation.heatmap, own.heatmap, atol=1e-6)
    assert explanation.baseline_value is not None
    assert explanation.convergence_delta is not None
    assert explanation.total == pytest.approx(
        explanation.value - explanation.baseline_value + explanation.convergence_delta, abs=1e-5
    )
    assert explanation.baseline == own.baseline


def test_each_member_has_a_layer_of_its_own(lamp: Uint8Array, tmp_path: Path) -> None:
    classes = ["a", "b", "c", "d"]
    explained_package(tmp_path / "m0", "deep", classes=classes)
    explained_package(tmp_path / "m1", "wide", classes=classes)
    together = ensemble_package(tmp_path, {"m0": 1, "m1": 1}, task="classification")
    assert Explainer(together).explain(lamp).method == "occlusion"  # which asks for the merged answer
    explanation = Explainer(together).explain(lamp, method="gradcam")
    assert explanation.layer == "activation; body"
    with pytest.raises(ConfigError, match=r"layer: must be a layer of the model, got 'stem';.*\(member .*m1\)"):
        Explainer(together).explain(lamp, method="gradcam", layer="stem")


@pytest.mark.parametrize("method", GRADIENTS)
def test_a_member_without_gradients_is_named(method: str, lamp: Uint8Array, tmp_path: Path) -> None:
    (tmp_path / "m1").mkdir()
    tiny_classifier(tmp_path / "m1")
    explained_package(tmp_path / "m0", "three", classes=["red", "green", "blue"])
    together = ensemble_package(tmp_path, {"m0": 1, "m1": 1}, task="classification")
    message = rf"method: {method} needs .* got member 1, .*m1, of format onnx; take method: occlusion"
    with pytest.raises(ConfigError, match=message):
        Explainer(together).check(method=method)
    assert Explainer(together).explain(lamp).method == "occlusion"


def test_a_member_may_be_a_graph(lamp: Uint8Array, tmp_path: Path) -> None:
    explained_package(tmp_path / "m0", "deep")
    graph_package(tmp_path / "m1", "deep", weights_format="torchscript")
    together = ensemble_package(tmp_path, {"m0": 1, "m1": 1}, task="classification")
    assert Explainer(together).explain(lamp, method="gradcam").layer == "activation; relu_1"


def test_members_that_do_not_show_it_have_no_part(tmp_path: Path) -> None:
    pixels = np.zeros((48, 48, 3), np.uint8)
    _, together = pair(tmp_path, "planes", SMALL, LARGE)
    explainer = Explainer(together)
    shown = explainer.explain(pixels, method="gradcam").label
    absent = next(name for name in together.spec.classes if name != shown)
    with pytest.raises(UnsupportedError, match=rf"predicted mask, which holds {shown}; got '{absent}'"):
        explainer.explain(pixels, method="gradcam", class_name=absent)
