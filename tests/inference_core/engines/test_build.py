from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inference_core.engines.build import build_engine, count_cuda_devices, resolve_device, resolve_precision
from inference_core.errors import ConfigError, ModelError
from tests.onnx_graphs import channel_means
from tests.specs import package_of

STATE_DICT = {
    "format": "state_dict",
    "weights": "w.pth",
    "architecture": {"import": "torch.nn:Conv2d", "options": {"in_channels": 3, "out_channels": 3, "kernel_size": 8}},
}
NO_SUCH_DEVICE = f"cuda:{torch.cuda.device_count()}"


@pytest.fixture(autouse=True)
def keeps_threads() -> Iterator[None]:
    """Gives the process its number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def conv_bytes(**options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(nn.Conv2d(3, 3, 8, **options).state_dict(), buffer)
    return buffer.getvalue()


def script_bytes() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as a whole
        torch.jit.save(torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 8), nn.Dropout(0.9))), buffer)
    return buffer.getvalue()


def test_auto_takes_the_first_gpu_where_there_is_one() -> None:
    assert resolve_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")
    assert count_cuda_devices() == torch.cuda.device_count()


def test_a_device_by_name(device: str) -> None:
    assert resolve_device(device) == {"cpu": "cpu", "cuda": "cuda:0"}[device]


@pytest.mark.parametrize(
    ("device", "message"),
    [
        pytest.param("", "device: must be auto, cpu, cuda or cuda:N, got ''; correct it", id="empty"),
        pytest.param("gpu", "device: must be auto, cpu, cuda or cuda:N, got 'gpu'", id="gpu"),
        pytest.param("cpu:0", "device: must be auto, cpu, cuda or cuda:N, got 'cpu:0'", id="cpu-0"),
        pytest.param("cuda:x", "device: must be auto, cpu, cuda or cuda:N, got 'cuda:x'", id="no-number"),
        pytest.param("cuda:-1", "device: must be auto, cpu, cuda or cuda:N, got 'cuda:-1'", id="negative"),
        pytest.param(
            NO_SUCH_DEVICE,
            rf"device: must be present, got '{NO_SUCH_DEVICE}' with {torch.cuda.device_count()} CUDA devices; use cpu",
            id="absent",
        ),
    ],
)
def test_no_such_device(device: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_device(device)


@pytest.mark.parametrize(
    ("precision", "device", "expected"),
    [
        ("auto", "cpu", "fp32"),
        ("auto", "cuda:0", "fp16"),
        ("fp32", "cpu", "fp32"),
        ("bf16", "cpu", "bf16"),
        ("fp16", "cuda:1", "fp16"),
    ],
)
def test_precision(precision: str, device: str, expected: str) -> None:
    assert resolve_precision(precision, device=device) == expected


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        pytest.param("fp16", "precision: must be fp32, bf16 or auto on the CPU, got 'fp16'", id="half-on-the-cpu"),
        pytest.param("fp8", "precision: must be auto, fp32, fp16 or bf16, got 'fp8'; correct it", id="unknown"),
    ],
)
@pytest.mark.parametrize("options", [{}, STATE_DICT], ids=["onnx", "torch"])
def test_no_such_precision(options: dict[str, Any], precision: str, message: str) -> None:
    package = package_of(channel_means() if not options else conv_bytes(), options)
    with pytest.raises(ConfigError, match=message):
        build_engine(package, device="cpu", precision=precision, num_threads=1)


@pytest.mark.parametrize(
    ("weights", "options", "engine"),
    [
        pytest.param(channel_means(), {}, "onnxruntime", id="onnx"),
        pytest.param(conv_bytes(), STATE_DICT, "torch", id="state-dict"),
        pytest.param(script_bytes(), {"format": "torchscript"}, "torch", id="torchscript"),
    ],
)
def test_the_format_chooses_the_engine(weights: bytes, options: dict[str, Any], engine: str) -> None:
    built = build_engine(package_of(weights, options), device="cpu", precision="auto", num_threads=1)
    assert (built.facts.engine, built.facts.device, built.facts.precision) == (engine, "cpu", "fp32")
    outputs = built.run(np.zeros((2, 8, 8, 3), np.uint8))
    first = next(iter(outputs.values()))
    assert first.shape[:2] == (2, 3)
    # Evaluation mode: nothing is dropped, so both blank images give the same.
    assert np.array_equal(first[0], first[1])


@pytest.mark.gpu
def test_onnx_goes_to_the_gpu_on_auto_only_where_its_runtime_can(device: str) -> None:
    from inference_core.engines.onnx_engine import has_cuda_provider

    built = build_engine(package_of(channel_means()), device="auto", precision="auto", num_threads=1)
    can = has_cuda_provider() and torch.cuda.is_available()
    assert built.facts.device == ("cuda:0" if can else "cpu")


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        pytest.param(conv_bytes(bias=False), STATE_DICT, r"weights must fit .*got w.pth with 1 missing key", id="key"),
        pytest.param(
            b"", {"format": "torchscript"}, "weights must be a TorchScript archive, got tiny.onnx", id="empty"
        ),
        pytest.param(
            conv_bytes(),
            {"format": "torchscript"},
            r"weights must be a TorchScript archive, got .*; save it with torch.jit.save, or use format state_dict",
            id="state-dict-as-script",
        ),
        pytest.param(script_bytes()[:500], {"format": "torchscript"}, "must be a TorchScript archive", id="truncated"),
    ],
)
def test_weights_of_another_kind(weights: bytes, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_engine(package_of(weights, options), device="cpu", precision="auto", num_threads=1)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_threads_of_torch(num_threads: int) -> None:
    engine = build_engine(package_of(conv_bytes(), STATE_DICT), device="cpu", precision="fp32", num_threads=num_threads)
    assert torch.get_num_threads() == engine.facts.num_threads == num_threads


def test_no_number_leaves_threads_alone() -> None:
    torch.set_num_threads(3)
    build_engine(package_of(conv_bytes(), STATE_DICT), device="cpu", precision="fp32", num_threads=0)
    assert torch.get_num_threads() == 3
