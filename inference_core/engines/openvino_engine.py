"""Runs ONNX, OpenVINO IR, SavedModel and float TFLite graphs with OpenVINO on the CPU."""

from __future__ import annotations

from threading import Lock
from typing import Any

from inference_core.engines.graph_batch import as_float32, drop_filling, fill_batch
from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.normalize import ArrayNormalizer
from inference_core.engines.protocol import Array, EngineFacts, Precision
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.input_spec import InputSpec
from inference_core.models.graph_shape import check_input_shape
from inference_core.models.weights import Weights
from inference_core.records import Uint8Array

HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16"}
"""OpenVINO's names of what a CPU computes in."""


class OpenVinoEngine:
    """A compiled OpenVINO model; one forward at a time.

    Args:
        weights: of a format that OpenVINO reads.
        spec: how pixels are normalised; checked against the graph's declared input.
        precision: fp32, or bf16 where the processor has it.
        num_threads: threads of one forward; 0 lets the library choose.
        cache_dir: keeps compiled models for the next start; None keeps none.

    Raises:
        ConfigError: openvino is not installed, or the processor has no bf16.
        ModelError: the graph cannot be opened, its input does not fit the spec, or it is quantised outside.
    """

    def __init__(
        self,
        weights: Weights,
        spec: InputSpec,
        *,
        precision: Precision,
        num_threads: int,
        cache_dir: str | None = None,
    ) -> None:
        core = open_core(precision=precision)
        model = read_model(core, weights)
        max_batch = check_model(model, spec)
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": num_threads,
            # Pinned threads of several processes all sit on the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        if cache_dir is not None:
            options["CACHE_DIR"] = cache_dir
        try:
            self._request = core.compile_model(model, "CPU", options).create_infer_request()
        except RuntimeError as exc:
            raise ModelError(f"the graph must compile for OpenVINO: {reason_of(exc)}; set another engine") from exc
        self._output_names = [name_of(port, index) for index, port in enumerate(model.outputs)]
        self._normalizer = ArrayNormalizer(spec)
        self._lock = Lock()  # a request answers one forward at a time
        self.facts = EngineFacts(
            engine="openvino", device="cpu", precision=precision, num_threads=num_threads, max_batch=max_batch
        )

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        """See Engine.run; the outputs are NumPy arrays."""
        values = self._normalizer.normalize(fill_batch(batch, size=self.facts.max_batch))
        try:
            with self._lock:
                found = self._request.infer({0: values}, share_inputs=True)  # outputs are copies
        except (RuntimeError, MemoryError) as exc:
            if is_out_of_memory(exc):
                raise DeviceMemoryError(reason_of(exc)) from exc
            raise EngineError(reason_of(exc)) from exc
        outputs = [
            drop_filling(found[index], count=len(batch), size=self.facts.max_batch) for index in range(len(found))
        ]
        return {name: as_float32(output) for name, output in zip(self._output_names, outputs, strict=True)}


def open_core(*, precision: Precision) -> Any:
    """OpenVINO's runtime, if it computes in ``precision`` on this processor."""
    try:
        import openvino
    except ImportError as exc:
        raise ConfigError("engine openvino needs OpenVINO; pip install 'millrace[openvino]'") from exc
    core = openvino.Core()
    if precision not in HINTS:
        raise ConfigError(f"must be fp32 or bf16 with engine openvino, got {precision!r}; correct it", key="precision")
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ConfigError("must be fp32 on a processor without bf16 arithmetic, got 'bf16'", key="precision")
    return core


def read_model(core: Any, weights: Weights) -> Any:
    """The graph, uncompiled.

    Raises:
        ModelError: OpenVINO does not read it.
    """
    try:
        with weights.on_disk() as path:
            return core.read_model(path)
    except RuntimeError as exc:
        raise ModelError(
            f"weights must be a graph that OpenVINO reads, got {weights.name}: {reason_of(exc)}; export it again, or "
            "set another engine"
        ) from exc


def check_model(model: Any, spec: InputSpec) -> int | None:
    """The batch size that the graph fixes, None where it is free.

    Raises:
        ModelError: there are several inputs, integers go in or out that stand for real numbers, or shapes differ.
    """
    if len(model.inputs) != 1:
        names = ", ".join(name_of(port, index) for index, port in enumerate(model.inputs))
        raise ModelError(
            f"the graph must have one input, got {len(model.inputs)} ({names}); export it with the image alone"
        )
    for port in (*model.inputs, *model.outputs):
        kind = port.get_element_type().get_type_name()
        if kind in ("u8", "i8"):
            raise ModelError(
                f"the graph must take and give floating-point values with engine openvino, which does not tell how "
                f"{kind} values were scaled; set engine litert"
            )
    shape = [axis.get_length() if axis.is_static else None for axis in model.inputs[0].get_partial_shape()]
    check_input_shape(shape, spec=spec)
    return shape[0]


def name_of(port: Any, index: int) -> str:
    """A port's own name, or its number."""
    names = sorted(port.get_names())
    return names[0] if names else str(index)


def reason_of(error: BaseException) -> str:
    """The last line of OpenVINO's message, which says what is wrong; the others say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:300]
