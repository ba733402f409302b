from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference_core.engines.normalize import ArrayNormalizer
from inference_core.engines.torch_engine import TorchEngine, first_line, name_outputs
from inference_core.errors import DeviceMemoryError, EngineError
from inference_core.models.torch_module import TorchModel
from inference_core.records import Uint8Array
from tests.specs import input_spec


class Returns(nn.Module):
    """Gives its input's channel means in one of the shapes that models are written with."""

    def __init__(self, shape: str) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, images: Tensor) -> Any:
        means = images.mean(dim=(2, 3))
        return {
            "tensor": means,
            "tuple": (means, None, 2 * means),
            "list": [means],
            "mapping": {"logits": means, "loss": 0.5, "features": 2 * means},
            "integers": {"ids": means.argmax(dim=1)},
            "nothing": None,
            "text": "means",
            "empty": (),
        }[self.shape]


class Raises(nn.Module):
    """Refuses its input with an error of one kind."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, images: Tensor) -> Tensor:
        raise self.error


def scripted(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as a whole
        return torch.jit.script(module)  # type: ignore[no-any-return]


def engine_of(
    module: nn.Module, options: dict[str, Any] | None = None, *, device: str = "cpu", precision: Any = "fp32"
) -> TorchEngine:
    return TorchEngine(
        TorchModel(module=module.eval()), input_spec(options), device=device, precision=precision, num_threads=0
    )


def pixels(count: int) -> Uint8Array:
    batch = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), np.uint8)
    batch.setflags(write=False)
    return batch


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param("tensor", ["output"], id="tensor"),
        pytest.param("tuple", ["0", "2"], id="tuple"),
        pytest.param("list", ["0"], id="list"),
        pytest.param("mapping", ["logits", "features"], id="mapping"),
    ],
)
def test_whatever_a_forward_returns_comes_by_name(shape: str, expected: list[str], device: str) -> None:
    batch = pixels(2)
    outputs = engine_of(Returns(shape), device=device).run(batch)
    assert list(outputs) == expected
    first = outputs[expected[0]]
    assert first.device.type == device
    assert not first.requires_grad
    np.testing.assert_allclose(first.cpu(), batch.mean(axis=(1, 2)) / 255, atol=1e-5)


@pytest.mark.parametrize(("shape", "found"), [("nothing", "NoneType"), ("text", "str"), ("empty", "tuple")])
def test_a_forward_without_tensors(shape: str, found: str) -> None:
    with pytest.raises(EngineError, match=f"the model must return tensors, got {found}; wrap its forward"):
        engine_of(Returns(shape)).run(pixels(1))


def test_integers_stay_integers() -> None:
    assert engine_of(Returns("integers")).run(pixels(2))["ids"].dtype == torch.int64


@pytest.mark.parametrize("options", [{}, {"color": "bgr"}, {"layout": "BHWC"}], ids=["rgb", "bgr", "channels-last"])
def test_a_module_sees_the_normalised_pixels(options: dict[str, Any], device: str) -> None:
    batch = pixels(3)
    facts = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]} | options
    seen = engine_of(nn.Identity(), facts, device=device).run(batch)["output"]
    np.testing.assert_allclose(seen.cpu(), ArrayNormalizer(input_spec(facts)).normalize(batch), atol=2e-6)


@pytest.mark.parametrize(
    "precision",
    ["fp32", "bf16", "fp16"],
)
def test_precision_is_of_the_model_and_not_of_what_it_gives(precision: str, device: str) -> None:
    if precision == "fp16" and device == "cpu":
        pytest.skip("fp16 is refused on the CPU")
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    batch = pixels(2)
    expected = module(torch.from_numpy(ArrayNormalizer(input_spec()).normalize(batch))).detach()
    engine = engine_of(module, device=device, precision=precision)
    output = engine.run(batch)["output"]
    assert output.dtype == torch.float32
    assert {parameter.dtype for parameter in engine._module.parameters()} == {
        {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    }
    tolerance = {"fp32": 1e-5, "fp16": 2**-9, "bf16": 2**-6}[precision]
    error = (output.cpu() - expected).abs().max().item()
    assert error < tolerance
    assert (error > 1e-6) == (precision != "fp32")


def test_torchscript_runs_as_the_module_does(device: str) -> None:
    module = nn.Conv2d(3, 2, 3).eval()
    script = scripted(module)
    batch = pixels(2)
    outputs = [engine_of(each, device=device).run(batch)["output"].cpu() for each in (script, module)]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Given groups=1, weight of size [4, 1, 3, 3]"),
        AssertionError("Input height (8) doesn't match model (224)."),
        ValueError("bad value"),
        TypeError("bad type"),
        KeyError("pixel_values"),
        IndexError("index out of range"),
        AttributeError("no such attribute"),
        NotImplementedError("not for this size"),
        ZeroDivisionError("division by zero"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refused_batch_is_an_engine_error(error: Exception) -> None:
    with pytest.raises(EngineError) as caught:
        engine_of(Raises(error)).run(pixels(1))
    assert str(error).strip("'") in str(caught.value)
    assert caught.value.__cause__ is error


class TooSmall(nn.Module):
    """Refuses what it is given, as checked code does; scripted, so that torch reports it in its own way."""

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2] < 99:
            raise ValueError("images must be at least 99 pixels high")
        return images


def test_an_error_inside_torchscript_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match="images must be at least 99 pixels high"):
        engine_of(scripted(TooSmall())).run(pixels(1))


def test_a_wrong_number_of_channels_is_told() -> None:
    with pytest.raises(EngineError, match=r"expected input\[1, 3, 8, 8\] to have 1 channels, but got 3 channels"):
        engine_of(nn.Conv2d(1, 1, 1)).run(pixels(1))


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), MemoryError("Unable to allocate 9 GiB")]
)
def test_too_little_memory_is_told_apart(error: Exception) -> None:
    with pytest.raises(DeviceMemoryError, match="allocate"):
        engine_of(Raises(error)).run(pixels(1))


class Grows(nn.Module):
    """Wants more memory than there is."""

    def forward(self, images: Tensor) -> Tensor:
        return images.new_empty(2**58)


def test_real_memory_runs_out(device: str) -> None:
    with pytest.raises(DeviceMemoryError):
        engine_of(Grows(), device=device).run(pixels(1))


def test_a_broken_device_blames_no_image() -> None:
    with pytest.raises(RuntimeError, match="device-side assert triggered"):
        engine_of(Raises(RuntimeError("CUDA error: device-side assert triggered"))).run(pixels(1))


def test_a_batch_is_not_modified() -> None:
    batch = pixels(2)
    before = batch.copy()
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        # What the module gets is its own copy, but nothing here may be trained on.
        engine_of(nn.Identity()).run(batch)["output"].add_(1)
    assert np.array_equal(batch, before)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(RuntimeError(), "RuntimeError", id="empty"),
        pytest.param(RuntimeError("\n  first \nsecond"), "first", id="first-line"),
        pytest.param(RuntimeError("x" * 999), "x" * 300, id="long"),
        pytest.param(
            RuntimeError(
                "The following operation failed in the interpreter.\nTraceback:\n  at line 3\nValueError: bad"
            ),
            "ValueError: bad",
            id="script",
        ),
    ],
)
def test_first_line(error: Exception, expected: str) -> None:
    assert first_line(error) == expected


def test_names_keep_the_order_of_a_mapping() -> None:
    assert list(name_outputs({"b": torch.zeros(1), "a": torch.zeros(1).half()})) == ["b", "a"]
    assert name_outputs({"a": torch.zeros(1).half()})["a"].dtype == torch.float32
