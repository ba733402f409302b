from __future__ import annotations

import numpy as np
import pytest

from inference_core.errors import ConfigError, ModelError
from inference_core.importing.probe import draw_images, probe
from inference_core.models.weights import Weights
from tests.onnx_graphs import channel_means, pixel_planes


def file_of(data: bytes) -> Weights:
    return Weights(name="net.onnx", files={"net.onnx": data})


def test_each_drawn_image_is_forwarded_alone() -> None:
    settings = {"format": "onnx", "input": {"size_hw": [8, 12], "scale": 255.0, "mean": [0.0]}}
    probed = probe(file_of(channel_means(batch=1, size_hw=(8, 12))), settings=settings)
    assert probed is not None
    outputs, size_hw = probed
    images = draw_images((8, 12), num_channels=3)
    np.testing.assert_allclose(outputs["scores"], images.mean(axis=(1, 2)) / 255, atol=1e-6)
    assert size_hw == (8, 12)


def test_without_a_size_a_usual_one_is_tried() -> None:
    probed = probe(file_of(pixel_planes(np.eye(3))), settings={"format": "onnx"})
    assert probed is not None
    assert probed[1] == (224, 224)


def test_a_size_that_the_graph_does_not_take_is_told() -> None:
    settings = {"format": "onnx", "input": {"size_hw": [9, 9]}}
    with pytest.raises(ModelError, match=r"takes 8 along H"):
        probe(file_of(channel_means(size_hw=(8, 8))), settings=settings)


def test_wrong_facts_are_told_with_their_key() -> None:
    with pytest.raises(ConfigError, match=r"^the facts said has 1 problem:\n  input: mean must have 1 or 3"):
        probe(file_of(channel_means()), settings={"format": "onnx", "input": {"mean": [1.0, 2.0]}})


def test_the_drawn_images_are_the_same_every_time_and_differ() -> None:
    images = draw_images((5, 7), num_channels=1)
    assert images.shape == (3, 5, 7, 1)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, draw_images((5, 7), num_channels=1))
    assert len({image.tobytes() for image in images}) == 3
