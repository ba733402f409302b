"""What every engine does: a uint8 batch in, the model's named outputs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from inference_core.records import Uint8Array

Array = Any
"""A NumPy array or a torch tensor: what the array API standard calls an array. Engines on the CPU that do not need
torch give NumPy arrays, so that their workers never load it."""

Precision = Literal["fp32", "fp16", "bf16", "int8"]
"""Of the arithmetic; int8 is that of graphs that were quantised, and cannot be asked for."""

EngineName = Literal["torch", "onnxruntime", "tensorrt", "openvino", "litert", "ensemble"]
"""``tensorrt`` is ONNX Runtime with its TensorRT provider; ``ensemble`` is what runs several engines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What an engine is and where it runs, for logs, reports and commit records."""

    engine: EngineName
    """The library that runs the model."""
    device: str
    """cpu, cuda:0, ..."""
    precision: Precision
    num_threads: int
    """CPU threads of one forward; 0 where the library chooses."""
    max_batch: int | None = None
    """Images per forward where the model's graph fixes them (smaller batches are filled up), None where free."""
    is_compiled: bool = False
    """Whether torch compiles the module for each shape that it meets."""
    has_cuda_graphs: bool = False
    """Whether forwards are recorded once for each shape and replayed."""
    notes: tuple[str, ...] = ()
    """What loading the weights changed or left out, for people."""

    def __str__(self) -> str:
        extras = ", compiled" * self.is_compiled + ", CUDA graphs" * self.has_cuda_graphs
        return f"{self.engine} on {self.device}, {self.precision}{extras}"


class Engine(Protocol):
    """Runs one model on one device."""

    @property
    def facts(self) -> EngineFacts:
        """What this engine is."""

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        """Normalise and forward one batch.

        Args:
            batch: (B, h, w, C) uint8, not modified.

        Returns:
            The model's outputs by name, float32 where they are floating, on the engine's device.

        Raises:
            DeviceMemoryError: the batch does not fit; a smaller one may.
            EngineError: the model refused the batch.
        """


@runtime_checkable
class LoadingEngine(Protocol):
    """What an engine gives, besides Engine, whose device is not the memory of NumPy arrays: a batch that is forwarded
    several times is copied there once.
    """

    def load(self, batch: Uint8Array) -> Array:
        """A batch (B, h, w, C) uint8 on the device.

        Raises:
            DeviceMemoryError: it does not fit.
        """

    def run_loaded(self, pixels: Array, *, dropout_seed: Sequence[int] | None = None) -> dict[str, Array]:
        """As Engine.run, of what ``load`` gave or what was made of it.

        Args:
            pixels: (B, h, w, C) uint8 on the device, not modified.
            dropout_seed: after ``enable_dropout``: chooses the units that are left out; None leaves out none.
        """

    def enable_dropout(self) -> None:
        """Let ``run_loaded`` leave units out.

        Raises:
            ConfigError: the forward is compiled or recorded.
            ModelError: the model has no dropout layers.
        """
