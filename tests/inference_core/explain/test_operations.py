from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference_core.errors import ConfigError
from inference_core.explain.explainer import Explainer
from inference_core.records import Uint8Array
from tests.explained_nets import explained_package, graph_package


@pytest.fixture
def lamp() -> Uint8Array:
    """A bright square on a dark ground."""
    pixels = np.random.default_rng(2).integers(20, 60, (48, 48, 3), np.uint8)
    pixels[24:36, 12:24] = 250
    return pixels


@pytest.mark.parametrize("weights_format", ["torchscript", "torch_export"])
@pytest.mark.parametrize(
    ("kind", "layer", "operation"),
    [
        pytest.param("deep", "activation", "relu_1", id="classification, an activation in place"),
        pytest.param("cells", "scores", "convolution_1", id="detection"),
        pytest.param("attending", "norm", "native_layer_norm", id="a transformer"),
    ],
)
def test_a_graph_tells_what_its_layers_told(
    weights_format: str, kind: str, layer: str, operation: str, lamp: Uint8Array, tmp_path: Path
) -> None:
    layered = Explainer(explained_package(tmp_path / "layers", kind)).explain(lamp, method="gradcam")
    graph = Explainer(graph_package(tmp_path / "graph", kind, weights_format=weights_format)).explain(lamp)
    assert (layered.layer, graph.layer) == (layer, operation)
    assert graph.method == "gradcam"  # by default, since torch runs it
    assert layered.heatmap.max() > 0
    np.testing.assert_allclose(graph.heatmap, layered.heatmap, atol=1e-5 * float(layered.heatmap.max()) + 1e-7)
    assert graph.value == pytest.approx(layered.value, rel=1e-5)


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients"])
@pytest.mark.parametrize("weights_format", ["torchscript", "torch_export"])
def test_gradients_of_a_graph_are_those_of_its_module(
    method: str, weights_format: str, lamp: Uint8Array, tmp_path: Path
) -> None:
    layered = Explainer(explained_package(tmp_path / "layers", "deep")).explain(lamp, method=method)
    graph = Explainer(graph_package(tmp_path / "graph", "deep", weights_format=weights_format)).explain(
        lamp, method=method
    )
    assert layered.heatmap.any()
    np.testing.assert_allclose(graph.heatmap, layered.heatmap, atol=1e-6)


@pytest.mark.parametrize("method", ["gradcam", "integrated_gradients"])
def test_a_batch_that_the_graph_fixes_is_filled(method: str, lamp: Uint8Array, tmp_path: Path) -> None:
    free, fixed = (
        Explainer(graph_package(tmp_path / str(batch), "deep", weights_format="torch_export", batch=batch)).explain(
            lamp, method=method
        )
        for batch in (0, 3)
    )
    assert fixed.layer == free.layer
    assert free.heatmap.any()
    np.testing.assert_allclose(fixed.heatmap, free.heatmap, atol=1e-6)


def test_of_masks_the_coarsest_operation_is_taken(lamp: Uint8Array, tmp_path: Path) -> None:
    graph = Explainer(graph_package(tmp_path / "graph", "planes", weights_format="torchscript"))
    assert graph.explain(lamp).layer == "relu"  # of a function: no layer that a hook sees
    layered = Explainer(explained_package(tmp_path / "layers", "planes")).explain(lamp, layer="down")
    named = graph.explain(lamp, layer="convolution")
    np.testing.assert_allclose(named.heatmap, layered.heatmap, atol=1e-6)


def test_an_operation_can_be_named(lamp: Uint8Array, tmp_path: Path) -> None:
    explainer = Explainer(graph_package(tmp_path / "graph", "deep", weights_format="torchscript"))
    layered = Explainer(explained_package(tmp_path / "layers", "deep"))
    named = explainer.explain(lamp, layer="convolution")
    assert named.layer == "convolution"
    np.testing.assert_allclose(named.heatmap, layered.explain(lamp, layer="stem.0").heatmap, atol=1e-6)
    with pytest.raises(ConfigError, match=r"layer: must be a layer of the model, got 'rellu_1'; did you mean relu_1"):
        explainer.explain(lamp, layer="rellu_1")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param("severed", "gradcam needs a layer .* that the answer depends on", id="cut off"),
        pytest.param("underived", "the method needs gradients, which an operation .* take occlusion", id="underived"),
    ],
)
def test_a_graph_that_lets_no_gradient_through_is_asked(
    kind: str, message: str, lamp: Uint8Array, tmp_path: Path
) -> None:
    explainer = Explainer(graph_package(tmp_path, kind, weights_format="torchscript"))
    with pytest.raises(ConfigError, match=message):
        explainer.explain(lamp, method="gradcam")
    assert explainer.explain(lamp).method == "occlusion"
    assert explainer.explain(lamp).method == "occlusion"
