"""ONNX graphs with 8-bit weights: activations scaled at run time (dynamic), or from calibration images (static)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inference_core.convert.clean_graph import import_onnx
from inference_core.convert.quiet import quiet
from inference_core.engines.onnx_engine import runtime_errors
from inference_core.errors import ConfigError, ModelError
from inference_core.input_spec import InputSpec
from inference_core.items import PreparedItem
from inference_core.optimise.calibration import CalibrationReader
from inference_core.optimise.names import match_names
from inference_core.optimise.recipe import RangeMethod


def quantize_dynamic(graph: bytes, *, keep_float: Sequence[str] = (), is_seven_bit: bool = False) -> bytes:
    """The graph with uint8 weights; each forward finds the scale of its own activations.

    Args:
        graph: the bytes of an ``.onnx`` file in fp32.
        keep_float: names or patterns of nodes that stay.
        is_seven_bit: weights of 7 bits.

    Raises:
        ConfigError: ONNX Runtime's tools are not installed, or a name means no node.
        ModelError: they do not take the graph.
    """
    tools = import_tools()
    with tempfile.TemporaryDirectory(prefix="millrace-int8-") as folder:
        ready, result = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
        names = write_ready(graph, ready)
        with quiet(), graph_errors():
            tools.quantize_dynamic(
                ready,
                result,
                weight_type=tools.QuantType.QUInt8,  # ONNX Runtime convolves uint8 weights fast and int8 ones not
                reduce_range=is_seven_bit,
                nodes_to_exclude=match_names(keep_float, names),
            )
        return result.read_bytes()


def quantize_static(
    graph: bytes,
    items: Sequence[PreparedItem],
    spec: InputSpec,
    *,
    ranges: RangeMethod = "minmax",
    keep_float: Sequence[str] = (),
    is_seven_bit: bool = False,
) -> bytes:
    """The graph with quantise-dequantise pairs: int8 weights with a scale for each channel, uint8 activations.

    A scale for each channel matters most to depthwise convolutions, each of whose filters has a range of its own.

    Args:
        graph: the bytes of an ``.onnx`` file in fp32.
        items: prepared calibration images, at least one of which can be run.
        spec: the package's input.
        ranges: how an activation's range follows from what the images gave.
        keep_float: names or patterns of nodes that stay.
        is_seven_bit: weights of 7 bits.

    Raises:
        ConfigError: ONNX Runtime's tools are not installed, or a name means no node.
        ModelError: they do not take the graph.

    Cost: a forward for each image, and the activations of one of them at a time.
    """
    tools = import_tools()
    name, max_batch = declared_input(graph)
    reader = CalibrationReader(items, spec, input_name=name, max_batch=max_batch)
    methods = tools.CalibrationMethod
    method = {"minmax": methods.MinMax, "entropy": methods.Entropy, "percentile": methods.Percentile}[ranges]
    with tempfile.TemporaryDirectory(prefix="millrace-int8-") as folder:
        ready, result = Path(folder) / "ready.onnx", Path(folder) / "int8.onnx"
        names = write_ready(graph, ready)
        with quiet(), graph_errors():
            tools.quantize_static(
                ready,
                result,
                reader,
                per_channel=True,
                reduce_range=is_seven_bit,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method=method,
                nodes_to_exclude=match_names(keep_float, names),
                # One batch after the other, whatever the method is: else all activations of all images are held.
                extra_options={"CalibStridedMinMax": 1},
            )
        return result.read_bytes()


def import_tools() -> Any:
    """ONNX Runtime's quantisation tools.

    Raises:
        ConfigError: they, or onnx, are not installed.
    """
    import_onnx()
    try:
        from onnxruntime import quantization
    except ImportError as exc:
        raise ConfigError("--int8 needs ONNX Runtime; pip install 'millrace[export]'") from exc
    return quantization


def tool_errors() -> tuple[type[BaseException], ...]:
    """What the tools were seen to raise, or may by their code."""
    return (*runtime_errors(), ArithmeticError, AssertionError, AttributeError, LookupError, TypeError)


@contextmanager
def graph_errors() -> Iterator[None]:
    """Errors of the tools as ours.

    Raises:
        ModelError: the tools raised what they raise for graphs that they cannot take.
    """
    try:
        yield
    except tool_errors() as exc:
        reason = " ".join(str(exc).split())[:300] or type(exc).__name__
        raise ModelError(
            f"the graph must be one that ONNX Runtime's tools quantise: {reason}; keep the layer in question with "
            "--keep-float, or leave --int8 away"
        ) from exc


def write_ready(graph: bytes, path: Path) -> list[str]:
    """Write the graph with shapes inferred, batch norms folded and every node named; gives the names."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnx = import_onnx()
    source = path.with_name("source.onnx")
    source.write_bytes(graph)
    with quiet(), graph_errors():
        try:
            quant_pre_process(source, path)
        except Exception:  # noqa: BLE001  # symbolic inference raises bare exceptions for shapes that it cannot tell
            quant_pre_process(source, path, skip_symbolic_shape=True)
    ready = onnx.load(path)
    name_nodes(ready)
    onnx.save(ready, path)
    return [node.name for node in ready.graph.node]


def name_nodes(model: Any) -> None:
    """Give nodes without a name one by operator and position."""
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"


def declared_input(graph: bytes) -> tuple[str, int | None]:
    """Name of the graph's input and the batch size that it fixes."""
    model = import_onnx().load_from_string(graph)
    stored = {tensor.name for tensor in model.graph.initializer}
    (entry,) = [entry for entry in model.graph.input if entry.name not in stored]
    batch = entry.type.tensor_type.shape.dim[0]
    return entry.name, batch.dim_value if batch.HasField("dim_value") else None
