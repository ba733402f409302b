from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from inference_core.engines.normalize import ArrayNormalizer, TensorNormalizer, channel_order, value_table
from inference_core.input_spec import InputSpec
from inference_core.records import Uint8Array
from tests.specs import input_spec

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
SPECS = [
    pytest.param({}, id="plain"),
    pytest.param({"scale": 1.0}, id="no-scaling"),
    pytest.param({"scale": 127.5, "mean": [1.0]}, id="minus-one-to-one"),
    pytest.param(IMAGENET, id="imagenet"),
    pytest.param(IMAGENET | {"color": "bgr"}, id="bgr"),
    pytest.param(IMAGENET | {"layout": "BHWC"}, id="channels-last"),
    pytest.param(IMAGENET | {"layout": "BHWC", "color": "bgr"}, id="channels-last-bgr"),
    pytest.param({"color": "gray", "mean": [0.5], "std": [0.25]}, id="gray"),
    pytest.param({"color": "gray", "layout": "BHWC"}, id="gray-channels-last"),
]


def every_value(spec: InputSpec) -> Uint8Array:
    """(2, 16, 16, C) with all 256 values in every channel, in another order in each."""
    steps = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = np.stack([np.roll(steps, 3 * channel, axis=0) for channel in range(spec.num_channels)], axis=-1)
    batch = np.stack([image, image[::-1]])
    batch.setflags(write=False)
    return batch


def by_formula(batch: Uint8Array, spec: InputSpec) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The documented formula in float64, channel by channel."""
    pixels = batch[..., ::-1] if spec.color == "bgr" else batch
    values = (pixels / spec.scale - np.array(spec.mean)) / np.array(spec.std)
    return values.transpose(0, 3, 1, 2) if spec.layout == "BCHW" else values


@pytest.mark.parametrize("options", SPECS)
def test_the_table_is_the_formula_rounded_once(options: dict[str, Any]) -> None:
    spec = input_spec(options)
    batch = every_value(spec)
    values = ArrayNormalizer(spec).normalize(batch)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    assert np.array_equal(values, by_formula(batch, spec).astype(np.float32))


@pytest.mark.parametrize("options", SPECS)
def test_a_device_gives_the_formula_within_a_rounding(options: dict[str, Any], device: str) -> None:
    spec = input_spec(options)
    batch = every_value(spec)
    values = TensorNormalizer(spec, device=device).normalize(torch.tensor(batch, device=device))
    assert values.dtype == torch.float32
    assert values.device.type == device
    # Gain, bias and their sum are each rounded once: half an ulp of the larger term each, before they cancel.
    largest = 255 / (spec.scale * np.min(spec.std)) + np.max(np.abs(np.divide(spec.mean, spec.std)))
    np.testing.assert_allclose(values.cpu(), by_formula(batch, spec), rtol=0, atol=2 * 2**-24 * largest)


def test_a_device_lays_channels_out_last(device: str) -> None:
    spec = input_spec(IMAGENET)
    values = TensorNormalizer(spec, device=device).normalize(torch.tensor(every_value(spec), device=device))
    assert values.shape == (2, 3, 16, 16)
    assert values.is_contiguous(memory_format=torch.channels_last)


def test_one_value_counts_for_all_channels() -> None:
    assert np.array_equal(
        value_table(input_spec({"mean": [0.5], "std": [2.0]})),
        value_table(input_spec({"mean": [0.5] * 3, "std": [2.0] * 3})),
    )


@pytest.mark.parametrize(
    ("color", "expected"), [("rgb", (0, 1, 2)), ("bgr", (2, 1, 0)), ("gray", (0,))], ids=["rgb", "bgr", "gray"]
)
def test_channel_order(color: str, expected: tuple[int, ...]) -> None:
    assert channel_order(input_spec({"color": color})) == expected


def test_mean_and_std_are_in_the_models_order() -> None:
    spec = input_spec({"color": "bgr", "scale": 1.0, "mean": [10.0, 20.0, 30.0]})
    red = np.zeros((1, 1, 1, 3), np.uint8)
    red[..., 0] = 200
    assert ArrayNormalizer(spec).normalize(red)[0, :, 0, 0].tolist() == [-10.0, -20.0, 170.0]


def test_one_pixel() -> None:
    spec = input_spec()
    assert ArrayNormalizer(spec).normalize(np.full((1, 1, 1, 3), 255, np.uint8)).tolist() == [
        [[[1.0]], [[1.0]], [[1.0]]]
    ]
