"""Choose and build the engine of a package."""

from __future__ import annotations

import ctypes
from contextlib import nullcontext

from inference_core.detection_spec import gives_masks
from inference_core.engines.protocol import Engine, Precision
from inference_core.engines.table import installed_engines, resolve_engine
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


def build_engine(
    package: ModelPackage,
    *,
    device: str,
    precision: str,
    num_threads: int,
    engine: str = "default",
    compiles: bool = False,
    cuda_graphs: bool = False,
) -> Engine:
    """Build the engine for a package's format on a device.

    Args:
        package: as read.
        device: auto, cpu or cuda:N.
        precision: auto, fp32, fp16 or bf16; a graph that ONNX Runtime or LiteRT runs has its own.
        num_threads: CPU threads of one forward, 0 leaves it to the library; torch's are those of the whole process.
        engine: torch, onnxruntime, tensorrt, openvino or litert; ``default`` is the format's own where it is installed.
        compiles: engine torch: compile the module.
        cuda_graphs: engine torch on CUDA: record forwards and replay them.

    Raises:
        ConfigError: the device, the precision or the engine cannot be had, or an extra is not installed.
        ModelError: the weights do not load or do not fit the spec.
    """
    spec, weights = package.spec.input, package.weights
    place = resolve_place(package, device=device, engine=engine)
    name = resolve_engine(engine, weights_format=package.spec.format, device=place)
    if name != "torch" and (compiles or cuda_graphs):
        raise ConfigError(f"must be torch to compile or to record CUDA graphs, got {name!r}", key="engine")
    if name == "litert":
        from inference_core.engines.litert_engine import LiteRtEngine

        return LiteRtEngine(weights, spec, num_threads=num_threads)
    chosen = resolve_precision(precision, device=place)
    if name == "openvino":
        from inference_core.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(weights, spec, precision=chosen, num_threads=num_threads)
    if name != "torch":
        from inference_core.engines.onnx_engine import OnnxEngine

        with nullcontext(weights.data) if weights.main is None else weights.on_disk() as graph:
            return OnnxEngine(
                graph,
                spec,
                device=place,
                num_threads=num_threads,
                uses_tensorrt=name == "tensorrt",
                precision=chosen,
            )
    return build_torch_engine(
        package, device=place, precision=chosen, num_threads=num_threads, compiles=compiles, cuda_graphs=cuda_graphs
    )


def resolve_place(package: ModelPackage, *, device: str, engine: str) -> str:
    """The device, where ``auto`` is CUDA only if an engine that may be meant runs there."""
    if device != "auto":
        return resolve_device(device)
    cuda = installed_engines(package.spec.format, device="cuda:0")
    wanted = cuda if engine == "default" else tuple(name for name in cuda if name == engine)
    if not wanted:
        return "cpu"
    if wanted[0] not in ("torch", "ensemble"):
        from inference_core.engines.onnx_engine import has_cuda_provider

        if not has_cuda_provider():
            return "cpu"
    return resolve_device("auto")


def build_torch_engine(
    package: ModelPackage,
    *,
    device: str,
    precision: Precision,
    num_threads: int,
    compiles: bool,
    cuda_graphs: bool,
) -> Engine:
    """The engine of formats that torch runs; torch is loaded here."""
    import torch

    from inference_core.engines.torch_engine import TorchEngine
    from inference_core.models.torch_module import build_module

    if num_threads:
        torch.set_num_threads(num_threads)
    engine = TorchEngine(
        build_module(package, device=device),
        package.spec.input,
        device=device,
        precision=precision,
        num_threads=num_threads,
        compiles=compiles,
        cuda_graphs=cuda_graphs,
        keeps_masks=gives_masks(package.spec.output.decoder),
    )
    if device == "cpu":
        return engine
    from inference_core.engines.overlapped_torch import OverlappedTorchEngine

    return OverlappedTorchEngine(engine)
