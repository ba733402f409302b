"""Runs TFLite graphs with LiteRT on the CPU; integers are scaled as the graph's tensors say."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.engines.graph_batch import as_float32, drop_filling, fill_batch
from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.normalize import ArrayNormalizer, value_table
from inference_core.engines.protocol import Array, EngineFacts
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.input_spec import InputSpec
from inference_core.models.graph_shape import check_input_shape
from inference_core.models.weights import Weights
from inference_core.records import Uint8Array

RUNTIME_ERRORS = (RuntimeError, ValueError, MemoryError)
"""What the interpreter was seen to raise."""


class LiteRtEngine:
    """A LiteRT interpreter; one forward at a time.

    Args:
        weights: a ``.tflite`` file.
        spec: how pixels are normalised; checked against the graph's declared input.
        num_threads: threads of one forward; 0 lets the library choose.

    Raises:
        ConfigError: ai-edge-litert is not installed.
        ModelError: the graph cannot be opened or its input does not fit the spec.
    """

    def __init__(self, weights: Weights, spec: InputSpec, *, num_threads: int) -> None:
        self._interpreter = open_interpreter(weights, num_threads=num_threads)
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1:
            names = ", ".join(entry["name"] for entry in inputs)
            raise ModelError(
                f"the graph must have one input, got {len(inputs)} ({names}); export it with the image alone"
            )
        self._input = inputs[0]
        self._outputs = self._interpreter.get_output_details()
        shape = [int(size) if size >= 0 else None for size in self._input["shape_signature"]]
        check_input_shape(shape, spec=spec)
        self._normalizer = ArrayNormalizer(spec, table=quantise(value_table(spec), tensor=self._input))
        self._is_free = None in shape
        self._shape: tuple[int, ...] = ()  # of the input as allocated
        self._lock = Lock()  # tensors are the interpreter's own
        is_quantised = np.issubdtype(self._input["dtype"], np.integer)
        self.facts = EngineFacts(
            engine="litert",
            device="cpu",
            precision="int8" if is_quantised else "fp32",
            num_threads=num_threads,
            max_batch=shape[0],
        )

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        """See Engine.run; the outputs are NumPy arrays."""
        values = self._normalizer.normalize(fill_batch(batch, size=self.facts.max_batch))
        try:
            with self._lock:
                found = self._forward(values)
        except RUNTIME_ERRORS as exc:
            reason = " ".join(str(exc).split())[:300]
            if is_out_of_memory(exc):
                raise DeviceMemoryError(reason) from exc
            raise EngineError(reason) from exc
        return {
            str(tensor["name"]): dequantise(
                drop_filling(output, count=len(batch), size=self.facts.max_batch), tensor=tensor
            )
            for tensor, output in zip(self._outputs, found, strict=True)
        }

    def _forward(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Copies of the raw outputs; where the graph leaves shapes free, they become those of ``values``."""
        index = self._input["index"]
        if values.shape != self._shape:
            self._shape = ()  # whatever goes wrong from here on, the next batch starts anew
            if self._is_free:
                self._interpreter.resize_tensor_input(index, values.shape)
            self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(index, values)
        self._shape = values.shape
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(tensor["index"]) for tensor in self._outputs]


def open_interpreter(weights: Weights, *, num_threads: int) -> Any:
    """An interpreter that owns a copy of the graph."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as exc:
        raise ConfigError("engine litert needs LiteRT; pip install 'millrace[litert]'") from exc
    try:
        return Interpreter(model_content=weights.data, num_threads=num_threads or None)
    except RUNTIME_ERRORS as exc:
        reason = " ".join(str(exc).split())[:300]
        raise ModelError(
            f"weights must be a TFLite graph that this LiteRT opens, got {weights.name}: {reason}; convert it again"
        ) from exc


def quantise(values: NDArray[Any], *, tensor: Mapping[str, Any]) -> NDArray[Any]:
    """Real values as a tensor of the graph takes them.

    Args:
        values: float32, any shape; not modified.
        tensor: LiteRT's description, with ``dtype`` and ``quantization`` (scale, zero point).

    Raises:
        ModelError: the tensor takes integers and does not say what they stand for.

    Source: LiteRT 8-bit quantization specification: real = (integer - zero_point) * scale.
    """
    dtype = np.dtype(tensor["dtype"])
    if np.issubdtype(dtype, np.floating):
        return np.asarray(values, dtype)
    scale, zero_point = tensor["quantization"]
    if scale == 0:
        raise ModelError(
            f"the graph's input must be floating-point or quantised with a scale, got {dtype} without; convert it again"
        )
    steps = values.astype(np.float64) / scale
    rounded = np.trunc(steps + np.copysign(0.5, steps)) + zero_point  # half away from zero, as LiteRT itself does
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(rounded, limits.min, limits.max), dtype)


def dequantise(output: NDArray[Any], *, tensor: Mapping[str, Any]) -> NDArray[Any]:
    """An output as the real numbers that it stands for, float32; integers without a scale stay."""
    scale, zero_point = tensor["quantization"]
    if scale == 0 or not np.issubdtype(output.dtype, np.integer):
        return np.asarray(as_float32(output))
    return np.asarray((output.astype(np.int32) - zero_point) * np.float32(scale), np.float32)
