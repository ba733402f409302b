"""Which engines run a format, where, and which of them are here."""

from __future__ import annotations

from importlib.util import find_spec

from inference_core.architecture_spec import Format
from inference_core.engines.protocol import EngineName
from inference_core.errors import ConfigError

ENGINES_OF_FORMAT: dict[Format, tuple[EngineName, ...]] = {
    "state_dict": ("torch",),
    "lightning": ("torch",),
    "timm": ("torch",),
    "huggingface": ("torch",),
    "torchscript": ("torch",),
    "torch_export": ("torch",),
    "keras": ("torch",),
    "onnx": ("onnxruntime", "openvino", "tensorrt"),
    "openvino": ("openvino",),
    "savedmodel": ("openvino",),
    "tflite": ("litert", "openvino"),
    "ensemble": ("ensemble",),
}
"""The format's own runtime first: it is what a package means where no engine is named."""

MODULE_OF_ENGINE: dict[EngineName, str] = {
    "torch": "torch",
    "onnxruntime": "onnxruntime",
    "tensorrt": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai_edge_litert",
    "ensemble": "inference_core",
}

CPU_ENGINES: tuple[EngineName, ...] = ("openvino", "litert")
"""Run on the CPU alone."""
CUDA_ENGINES: tuple[EngineName, ...] = ("tensorrt",)
"""Run on CUDA alone."""
FIXED_PRECISION: tuple[EngineName, ...] = ("onnxruntime", "litert")
"""Compute as their graph says, whatever precision is asked for."""


def installed_engines(weights_format: Format, *, device: str) -> tuple[EngineName, ...]:
    """Engines that run a format on a device and whose library is installed, the format's own first.

    Args:
        weights_format: of the package.
        device: ``cpu`` or ``cuda:N``.
    """
    return tuple(
        engine
        for engine in runnable_engines(weights_format, device=device)
        if find_spec(MODULE_OF_ENGINE[engine]) is not None
    )


def runnable_engines(weights_format: Format, *, device: str) -> tuple[EngineName, ...]:
    """Engines that run a format on a device, installed or not, the format's own first."""
    elsewhere = CUDA_ENGINES if device == "cpu" else CPU_ENGINES
    return tuple(engine for engine in ENGINES_OF_FORMAT[weights_format] if engine not in elsewhere)


def resolve_engine(engine: str, *, weights_format: Format, device: str) -> EngineName:
    """The engine that a name stands for.

    Args:
        engine: a name; ``default`` is the first that is installed, or, so that its error names the extra, the first.
        weights_format: of the package.
        device: ``cpu`` or ``cuda:N``.

    Raises:
        ConfigError: the engine does not run the format, or not on the device.
    """
    able = ENGINES_OF_FORMAT[weights_format]
    if engine == "default":
        engine = (*installed_engines(weights_format, device=device), able[0])[0]
    for name in able:
        if name == engine:
            check_device(name, device=device)
            return name
    raise ConfigError(
        f"must be default, {' or '.join(able)} for format {weights_format}, got {engine!r}; correct it", key="engine"
    )


def check_device(engine: EngineName, *, device: str) -> None:
    """Raise ConfigError unless the engine runs on the device."""
    if device == "cpu" and engine in CUDA_ENGINES:
        raise ConfigError(f"must be another one on the CPU, got {engine!r}; set device cuda", key="engine")
    if device != "cpu" and engine in CPU_ENGINES:
        raise ConfigError(f"must be another one on {device}, got {engine!r}; set device cpu", key="engine")
