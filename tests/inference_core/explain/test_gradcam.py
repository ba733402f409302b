from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam

from inference_core.errors import ConfigError
from inference_core.explain.explainer import Explainer
from inference_core.records import Uint8Array
from tests.explained_nets import build_net, explained_package


@pytest.fixture
def picture() -> Uint8Array:
    return np.random.default_rng(5).integers(0, 256, (32, 32, 3), np.uint8)


def values_of(picture: Uint8Array) -> torch.Tensor:
    """The input of a package whose normalisation is plain: pixels over 255."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def test_a_case_reckoned_by_hand(tmp_path: Path) -> None:
    # Class red is 2 * mean(red) - mean(green): each map weighs its slope by the number of cells, 2 / 16 and -1 / 16.
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[0, 0] = (255, 0, 0)
    pixels[1, 1] = (255, 255, 0)
    pixels[2, 2] = (0, 255, 0)
    package = explained_package(tmp_path, "hand", side_px=4)
    explanation = Explainer(package).explain(pixels, method="gradcam", class_name="red")
    expected = np.zeros((4, 4))
    expected[0, 0], expected[1, 1] = 2 / 16, (2 - 1) / 16
    np.testing.assert_allclose(explanation.heatmap, expected, atol=1e-7)
    assert (explanation.layer, explanation.label) == ("maps", "red")
    assert explanation.value == pytest.approx(2 * 2 / 16 - 2 / 16)


@pytest.mark.parametrize("layer", ["stem.0", "stem", "block.0", "block"])
def test_a_named_layer_gives_what_captum_gives(layer: str, picture: Uint8Array, tmp_path: Path) -> None:
    explanation = Explainer(explained_package(tmp_path, "deep")).explain(
        picture, method="gradcam", layer=layer, class_name="c"
    )
    net, values = build_net("deep"), values_of(picture)
    found = LayerGradCam(net, net.get_submodule(layer)).attribute(values, target=2, relu_attributions=True)
    expected = LayerAttribution.interpolate(found, (32, 32), interpolate_mode="bilinear")[0, 0]
    np.testing.assert_allclose(explanation.heatmap, expected.detach().numpy(), atol=1e-6)
    assert explanation.heatmap.max() > 0


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        pytest.param("deep", "activation", id="what is behind the last block, not the convolution in it"),
        pytest.param("planes", "down", id="segmentation: the coarsest map"),
        pytest.param("cells", "scores", id="detection: the last of the coarsest"),
        pytest.param("attending", "norm", id="a transformer: the last tokens that the class token looks at"),
    ],
)
def test_the_layer_is_found(kind: str, layer: str, picture: Uint8Array, tmp_path: Path) -> None:
    bright = np.full_like(picture, 30)
    bright[8:16, 16:24] = 255
    explanation = Explainer(explained_package(tmp_path, kind)).explain(bright, method="gradcam")
    assert explanation.layer == layer


def test_the_activation_behind_the_last_block_is_weighed(picture: Uint8Array, tmp_path: Path) -> None:
    # The mean of the maps and a linear layer follow: then Grad-CAM is the layer's weights over the maps, cell by cell.
    net, values = build_net("deep"), values_of(picture)
    with torch.no_grad():
        stem = net.stem(values)
        maps = torch.relu(net.block(stem) + stem)
        heat = torch.relu(torch.einsum("c,bchw->bhw", net.head.weight[1], maps) / (16 * 16))
        expected = torch.nn.functional.interpolate(heat[None], size=(32, 32), mode="bilinear")[0, 0]
    explanation = Explainer(explained_package(tmp_path, "deep")).explain(picture, method="gradcam", class_name="b")
    np.testing.assert_allclose(explanation.heatmap, expected.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        pytest.param("stm.0", r"layer: must be a layer of the model, got 'stm.0'; did you mean stem.0", id="misspelt"),
        pytest.param("zzz", r"got 'zzz'; layers with a map, the last first: activation, block,", id="unlike any"),
        pytest.param("head", r"must be a layer whose output is a map of the input, got 'head'; layers", id="no map"),
    ],
)
def test_a_layer_that_cannot_be_meant(layer: str, message: str, picture: Uint8Array, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        Explainer(explained_package(tmp_path, "deep")).explain(picture, method="gradcam", layer=layer)


def test_a_model_without_maps_says_what_to_take(picture: Uint8Array, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"method: gradcam needs a layer .* none behind a convolution; take occlusion"
    ):
        Explainer(explained_package(tmp_path, "flat")).explain(picture, method="gradcam")
