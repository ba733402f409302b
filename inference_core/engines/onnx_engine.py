"""Runs an ONNX graph with ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np

from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.normalize import ArrayNormalizer
from inference_core.engines.protocol import Array, EngineFacts
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.records import Uint8Array
from inference_core.spec import InputSpec

ONLY_FATAL = 4
"""ONNX Runtime's log severity; graphs with initialisers among their inputs print hundreds of warnings."""

CUDA_PROVIDER = "CUDAExecutionProvider"

INPUT_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxEngine:
    """An ONNX Runtime session on the CPU or on CUDA.

    Args:
        graph: the bytes of the ``.onnx`` file.
        spec: how pixels are normalised; checked against the graph's declared input.
        device: ``cpu`` or ``cuda:N``.
        num_threads: threads of one forward; 0 lets the library choose.

    Raises:
        ConfigError: onnxruntime is not installed.
        ModelError: the graph cannot be opened or its input does not fit the spec.
    """

    def __init__(self, graph: bytes, spec: InputSpec, *, device: str, num_threads: int) -> None:
        self._session = open_session(graph, device=device, num_threads=num_threads)
        declared = check_input(self._session, spec)
        self._input_name = declared.name
        self._dtype = INPUT_DTYPES[declared.type]
        self._output_names = tensor_outputs(self._session)
        self._normalizer = ArrayNormalizer(spec)
        self.facts = EngineFacts(
            engine="onnxruntime",
            device=device,
            precision="fp16" if self._dtype == np.float16 else "fp32",
            num_threads=num_threads,
            max_batch=declared.shape[0] if isinstance(declared.shape[0], int) else None,
        )
        self._fixed_batch = self.facts.max_batch or 0

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        """See Engine.run; the outputs are NumPy arrays."""
        count = len(batch)
        if count < self._fixed_batch:
            # Blank images make a graph's fixed batch full; their outputs are dropped.
            batch = np.concatenate([batch, np.zeros((self._fixed_batch - count, *batch.shape[1:]), np.uint8)])
        values = self._normalizer.normalize(batch).astype(self._dtype, copy=False)
        try:
            outputs = self._session.run(self._output_names, {self._input_name: values})
        except runtime_errors() as exc:
            message = " ".join(str(exc).split())[:300]
            if is_out_of_memory(exc):
                raise DeviceMemoryError(message) from exc
            raise EngineError(message) from exc
        if self._fixed_batch:
            outputs = [output[:count] for output in outputs]
        return {name: as_float32(value) for name, value in zip(self._output_names, outputs, strict=True)}


def as_float32(value: Any) -> Array:
    """An output array; half and double precision become float32."""
    return value.astype(np.float32, copy=False) if np.issubdtype(value.dtype, np.floating) else value


def tensor_outputs(session: Any) -> list[str]:
    """Names of the graph's outputs that are tensors.

    Raises:
        ModelError: there are none.
    """
    outputs = session.get_outputs()
    names = [output.name for output in outputs if output.type.startswith("tensor(")]
    if not names:
        types = ", ".join(output.type for output in outputs)
        raise ModelError(f"the graph must give tensors, got {types}; export it without post-processing")
    return names


def open_session(graph: bytes, *, device: str, num_threads: int) -> Any:
    """A session that neither spins nor prints."""
    try:
        import onnxruntime
    except ImportError as exc:
        raise ConfigError("format onnx needs ONNX Runtime; pip install 'millrace[onnx]'") from exc
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ONLY_FATAL
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=providers(onnxruntime, device))
    except runtime_errors() as exc:
        reason = " ".join(str(exc).split())[:300]
        raise ModelError(
            f"weights must be an ONNX graph that this ONNX Runtime opens: {reason}; export it again"
        ) from exc
    if device != "cpu" and CUDA_PROVIDER not in session.get_providers():
        # ONNX Runtime goes on on the CPU, silently, where the provider's libraries do not load.
        raise ConfigError(
            f"device {device} needs CUDA libraries that fit this ONNX Runtime; install them, or set device cpu"
        )
    return session


def has_cuda_provider() -> bool:
    """Whether this ONNX Runtime was built for CUDA; False where there is none."""
    try:
        import onnxruntime
    except ImportError:
        return False
    return CUDA_PROVIDER in onnxruntime.get_available_providers()


def providers(onnxruntime: Any, device: str) -> list[Any]:
    """Execution providers for a device, most wanted first."""
    if device == "cpu":
        return ["CPUExecutionProvider"]
    if CUDA_PROVIDER not in onnxruntime.get_available_providers():
        raise ConfigError(
            f"device {device} needs ONNX Runtime's CUDA provider; pip install onnxruntime-gpu, or set device cpu"
        )
    index = int(device.partition(":")[2] or 0)
    return [(CUDA_PROVIDER, {"device_id": index}), "CPUExecutionProvider"]


def runtime_errors() -> tuple[type[BaseException], ...]:
    """What ONNX Runtime raises: its own errors share no base but Exception's subclasses in one module."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*own, RuntimeError, ValueError)


def check_input(session: Any, spec: InputSpec) -> Any:
    """The graph's only input, if a batch made by ``spec`` fits it.

    Raises:
        ModelError: there are several inputs, or rank, dtype, channels or size differ.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs)
        raise ModelError(f"the graph must have one input, got {len(inputs)} ({names}); export it with the image alone")
    declared = inputs[0]
    if declared.type not in INPUT_DTYPES:
        raise ModelError(f"the graph's input must be float or float16, got {declared.type}; export it again")
    if len(declared.shape) != 4:
        raise ModelError(f"the graph's input must have 4 axes, got {declared.shape}; export it with a batch axis")
    axes = dict(zip(spec.layout, declared.shape, strict=True))
    expected: dict[str, int | None] = {
        "C": spec.num_channels,
        "H": spec.size_hw[0] if spec.size_hw else None,
        "W": spec.size_hw[1] if spec.size_hw else None,
    }
    remedies = {"C": "input.color (or input.layout)", "H": "input.size_hw", "W": "input.size_hw"}
    for axis, value in expected.items():
        if value is not None and isinstance(axes[axis], int) and axes[axis] != value:
            raise ModelError(
                f"the graph takes {axes[axis]} along {axis} (input {declared.shape}, layout {spec.layout}), "
                f"the package gives {value}; correct {remedies[axis]}"
            )
    return declared
