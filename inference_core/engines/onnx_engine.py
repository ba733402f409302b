"""Runs an ONNX graph with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inference_core.engines.graph_batch import as_float32, drop_filling, fill_batch
from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.normalize import ArrayNormalizer, value_table
from inference_core.engines.protocol import Array, EngineFacts, Precision
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.input_spec import InputSpec
from inference_core.models.graph_shape import check_input_shape
from inference_core.records import Uint8Array

ONLY_FATAL = 4
"""ONNX Runtime's log severity; graphs with initialisers among their inputs print hundreds of warnings."""

CPU_PROVIDER, CUDA_PROVIDER, TENSORRT_PROVIDER = (f"{kind}ExecutionProvider" for kind in ("CPU", "CUDA", "Tensorrt"))

PROVIDER_TITLES = {CUDA_PROVIDER: "CUDA provider", TENSORRT_PROVIDER: "TensorRT provider"}

INPUT_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxEngine:
    """An ONNX Runtime session on the CPU, on CUDA or through TensorRT.

    Args:
        graph: the bytes of the ``.onnx`` file; its path where it keeps tensors in files beside it.
        spec: how pixels are normalised; checked against the graph's declared input.
        device: ``cpu`` or ``cuda:N``.
        num_threads: threads of one forward; 0 lets the library choose.
        uses_tensorrt: let TensorRT build the parts of the graph that it takes: minutes at the start, fast afterwards.
        precision: of TensorRT's arithmetic, fp32 or fp16; without it the graph has its own.

    Raises:
        ConfigError: onnxruntime or a provider of the device is not installed.
        ModelError: the graph cannot be opened or its input does not fit the spec.
    """

    def __init__(
        self,
        graph: bytes | Path,
        spec: InputSpec,
        *,
        device: str,
        num_threads: int,
        uses_tensorrt: bool = False,
        precision: Precision = "fp32",
    ) -> None:
        half = uses_tensorrt and precision == "fp16"
        self._session = open_session(
            graph, device=device, num_threads=num_threads, uses_tensorrt=uses_tensorrt, allows_fp16=half
        )
        declared = check_input(self._session, spec)
        self._input_name = declared.name
        dtype = INPUT_DTYPES[declared.type]
        self._output_names = tensor_outputs(self._session)
        self._normalizer = ArrayNormalizer(spec, table=value_table(spec).astype(dtype))
        self.facts = EngineFacts(
            engine="tensorrt" if uses_tensorrt else "onnxruntime",
            device=device,
            precision="fp16" if half or dtype == np.float16 else "fp32",
            num_threads=num_threads,
            max_batch=declared.shape[0] if isinstance(declared.shape[0], int) else None,
        )

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        """See Engine.run; the outputs are NumPy arrays."""
        values = self._normalizer.normalize(fill_batch(batch, size=self.facts.max_batch))
        try:
            outputs = self._session.run(self._output_names, {self._input_name: values})
        except runtime_errors() as exc:
            message = " ".join(str(exc).split())[:300]
            if is_out_of_memory(exc):
                raise DeviceMemoryError(message) from exc
            raise EngineError(message) from exc
        outputs = [drop_filling(output, count=len(batch), size=self.facts.max_batch) for output in outputs]
        return {name: as_float32(value) for name, value in zip(self._output_names, outputs, strict=True)}


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


def open_session(
    graph: bytes | Path, *, device: str, num_threads: int, uses_tensorrt: bool = False, allows_fp16: bool = False
) -> Any:
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
    wanted = list_providers(
        onnxruntime.get_available_providers(), device=device, uses_tensorrt=uses_tensorrt, allows_fp16=allows_fp16
    )
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=wanted)
    except runtime_errors() as exc:
        reason = " ".join(str(exc).split())[:300]
        raise ModelError(
            f"weights must be an ONNX graph that this ONNX Runtime opens: {reason}; export it again"
        ) from exc
    if wanted[0][0] not in session.get_providers():
        # ONNX Runtime goes on with the next provider, silently, where a provider's libraries do not load.
        raise ConfigError(
            f"device {device} needs libraries of the {wanted[0][0]} that fit this ONNX Runtime; install them, or set "
            "device cpu"
        )
    return session


def has_cuda_provider() -> bool:
    """Whether this ONNX Runtime was built for CUDA; False where there is none."""
    try:
        import onnxruntime
    except ImportError:
        return False
    return CUDA_PROVIDER in onnxruntime.get_available_providers()


def list_providers(
    available: Sequence[str], *, device: str, uses_tensorrt: bool, allows_fp16: bool
) -> list[tuple[str, dict[str, Any]]]:
    """Execution providers for a device with their options, most wanted first.

    Args:
        available: those that this ONNX Runtime was built with.
        device: ``cpu`` or ``cuda:N``.
        uses_tensorrt: before CUDA.
        allows_fp16: of TensorRT.

    Raises:
        ConfigError: a provider that is needed is not there.
    """
    if device == "cpu":
        return [(CPU_PROVIDER, {})]
    needed = [TENSORRT_PROVIDER] * uses_tensorrt + [CUDA_PROVIDER]
    missing = [name for name in needed if name not in available]
    if missing:
        raise ConfigError(
            f"device {device} needs ONNX Runtime's {' and '.join(PROVIDER_TITLES[name] for name in missing)}; "
            "pip install onnxruntime-gpu, or set device cpu"
        )
    index = {"device_id": int(device.partition(":")[2] or 0)}
    options = {TENSORRT_PROVIDER: {**index, "trt_fp16_enable": allows_fp16}, CUDA_PROVIDER: index}
    return [*((name, options[name]) for name in needed), (CPU_PROVIDER, {})]


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
    check_input_shape(declared.shape, spec=spec)
    return declared
