"""Choose and build the engine of a package."""

from __future__ import annotations

import ctypes

from inference_core.engines.protocol import Engine, Precision
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage


def resolve_device(device: str) -> str:
    """``auto`` as the first CUDA device where there is one, else the CPU; other names are checked.

    Raises:
        ConfigError: the device is unknown or absent.
    """
    if device == "cpu":
        return "cpu"
    if device == "auto":
        return "cuda:0" if count_cuda_devices() else "cpu"
    kind, _, index = device.partition(":")
    if kind != "cuda" or not (index or "0").isdigit():
        raise ConfigError(f"must be auto, cpu, cuda or cuda:N, got {device!r}; correct it", key="device")
    found = count_cuda_devices()
    if int(index or 0) >= found:
        raise ConfigError(f"must be present, got {device!r} with {found} CUDA devices; use cpu or auto", key="device")
    return f"cuda:{index or 0}"


def count_cuda_devices() -> int:
    """CUDA devices that this process sees; torch, slow to load, is asked only where a driver is there."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    import torch

    return torch.cuda.device_count()


def resolve_precision(precision: Precision | str, *, device: str) -> Precision:
    """``auto`` as fp16 on CUDA and fp32 on the CPU."""
    if precision == "auto":
        return "fp32" if device == "cpu" else "fp16"
    if precision not in ("fp32", "fp16", "bf16"):
        raise ConfigError(f"must be auto, fp32, fp16 or bf16, got {precision!r}; correct it", key="precision")
    if precision == "fp16" and device == "cpu":
        raise ConfigError("must be fp32, bf16 or auto on the CPU, got 'fp16'; correct it", key="precision")
    return precision  # type: ignore[return-value]


def build_engine(package: ModelPackage, *, device: str, precision: str, num_threads: int) -> Engine:
    """Build the engine for a package's format on a device.

    Args:
        package: as read.
        device: auto, cpu or cuda:N.
        precision: auto, fp32, fp16 or bf16; an ONNX graph has its own.
        num_threads: CPU threads of one forward, 0 leaves it to the library; torch's are those of the whole process.

    Raises:
        ConfigError: the device or precision cannot be had, or an extra is not installed.
        ModelError: the weights do not load or do not fit the spec.
    """
    chosen = resolve_device(device)
    chosen_precision = resolve_precision(precision, device=chosen)
    if package.spec.format == "onnx":
        from inference_core.engines.onnx_engine import OnnxEngine, has_cuda_provider

        if device == "auto" and not has_cuda_provider():
            chosen = "cpu"
        return OnnxEngine(package.weights, package.spec.input, device=chosen, num_threads=num_threads)
    import torch

    from inference_core.engines.torch_engine import TorchEngine
    from inference_core.models.torch_module import build_module

    if num_threads:
        torch.set_num_threads(num_threads)
    return TorchEngine(
        build_module(package),
        package.spec.input,
        device=chosen,
        precision=chosen_precision,
        num_threads=num_threads,
    )
