from __future__ import annotations

from pathlib import Path

import captum.attr
import numpy as np
import pytest
import torch

from inference_core.explain.explainer import Explainer
from inference_core.records import Uint8Array
from tests.explained_nets import build_net, explained_package
from tests.inference_core.explain.test_gradcam import values_of


@pytest.fixture
def picture() -> Uint8Array:
    return np.random.default_rng(7).integers(0, 256, (32, 32, 3), np.uint8)


def test_saliency_is_the_largest_slope_of_the_channels(picture: Uint8Array, tmp_path: Path) -> None:
    explanation = Explainer(explained_package(tmp_path, "deep")).explain(picture, method="saliency", class_name="d")
    values = values_of(picture).requires_grad_()
    build_net("deep")(values)[0, 3].backward()
    assert values.grad is not None
    np.testing.assert_allclose(explanation.heatmap, values.grad[0].abs().amax(0).numpy(), atol=1e-7)


def test_integrated_gradients_are_those_of_captum(picture: Uint8Array, tmp_path: Path) -> None:
    explanation = Explainer(explained_package(tmp_path, "deep")).explain(picture, method="integrated_gradients")
    net, values = build_net("deep"), values_of(picture).requires_grad_()
    assert explanation.baseline is not None
    baseline = torch.tensor(explanation.baseline).view(1, 3, 1, 1).expand(1, 3, 32, 32) / 255
    reference = captum.attr.IntegratedGradients(net).attribute(
        values, baselines=baseline, target=explanation.class_id, n_steps=256
    )
    # Both are sums over a path with kinks; they differ by how finely it is cut.
    expected = reference[0].sum(0).detach().numpy()
    assert np.abs(explanation.heatmap - expected).max() <= 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("kind", ["deep", "hand", "planes", "cells", "attending"])
def test_the_sum_is_what_the_value_gains_from_the_baseline(kind: str, picture: Uint8Array, tmp_path: Path) -> None:
    explanation = Explainer(explained_package(tmp_path, kind)).explain(
        picture // 2 + 100, method="integrated_gradients"
    )
    assert explanation.baseline_value is not None
    gained = explanation.value - explanation.baseline_value
    assert explanation.total == pytest.approx(gained, rel=0.02, abs=1e-4)
    assert explanation.convergence_delta == pytest.approx(explanation.total - gained, abs=1e-3 * max(1, abs(gained)))
    assert explanation.heatmap.sum() == pytest.approx(explanation.total, rel=1e-4)


def test_the_baseline_is_the_mean_colour(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16] = (200, 100, 50)
    explanation = Explainer(explained_package(tmp_path, "deep")).explain(pixels, method="integrated_gradients")
    assert explanation.baseline == (100, 50, 25)
