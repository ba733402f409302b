"""What models and the server say of themselves over the Open Inference Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from serve.answers import ServedModel
from serve.backend import Backend
from serve.config import ServeConfig
from serve.oip_outputs import outputs_of

SERVER_NAME = "millrace"
EXTENSIONS = ("binary_tensor_data", "parameters")
IMAGE, PIXELS = "image", "pixels"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorMetadata:
    """A tensor of a model."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    """-1 where a size is free."""

    def to_json(self) -> dict[str, Any]:
        """As HTTP says it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def server_version() -> str:
    """The installed version, "" where it runs without being installed."""
    try:
        return version("millrace")
    except PackageNotFoundError:
        return ""


def input_tensors(model: ServedModel) -> tuple[TensorMetadata, TensorMetadata]:
    """Encoded images, or prepared pixels: a request gives one of the two."""
    height, width = model.input_hw or (-1, -1)
    return (
        TensorMetadata(name=IMAGE, datatype="BYTES", shape=(-1,)),
        TensorMetadata(name=PIXELS, datatype="UINT8", shape=(-1, height, width, model.num_channels)),
    )


def output_tensors(model: ServedModel) -> tuple[TensorMetadata, ...]:
    """All that a request may ask for."""
    return tuple(
        TensorMetadata(name=output.name, datatype=output.datatype, shape=output.shape) for output in outputs_of(model)
    )


def platform_of(model: ServedModel) -> str:
    """The project and the package's format, as the protocol wants it."""
    return f"{SERVER_NAME}_{model.spec.get('format', 'model')}"


def model_json(model: ServedModel) -> dict[str, Any]:
    """A model's metadata as HTTP says it."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": platform_of(model),
        "inputs": [tensor.to_json() for tensor in input_tensors(model)],
        "outputs": [tensor.to_json() for tensor in output_tensors(model)],
    }


def server_json() -> dict[str, Any]:
    """The server's metadata as HTTP says it."""
    return {"name": SERVER_NAME, "version": server_version(), "extensions": list(EXTENSIONS)}


def lazy_models(backend: Backend, config: ServeConfig) -> frozenset[str]:
    """Models that load with their first request: they can answer though they are not loaded."""
    return frozenset(name for name, model in zip(backend.known_models(), config.models, strict=True) if model.is_lazy)


def index_json(model: ServedModel) -> dict[str, str]:
    """A model's entry in the index of the repository."""
    return {
        "name": model.name,
        "version": model.version,
        "state": "READY" if model.is_ready else "UNAVAILABLE",
        "reason": "" if model.is_ready else "not loaded",
    }
