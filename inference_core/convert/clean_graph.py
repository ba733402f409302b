"""An exported ONNX graph without what exporters leave in it: folded, checked, and saying where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from inference_core.convert.quiet import quiet
from inference_core.errors import ConfigError, ModelError

INPUT_NAME = "image"
"""Of every graph that is made here."""
MAX_GRAPH_BYTES = 2**31 - 1
"""Of one protobuf file; larger models keep their weights outside, which packages do not do."""


def import_onnx() -> Any:
    """The onnx package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import onnx
    except ImportError as exc:
        raise ConfigError("format onnx needs the exporters; pip install 'millrace[export]'") from exc
    return onnx


def fold_graph(model: Any) -> Any:
    """The graph with everything computed that depends on no input, and paddings inside the convolutions.

    Args:
        model: onnx ModelProto, not modified.
    """
    try:
        import onnx_ir
        from onnxscript import optimizer, rewriter
    except ImportError as exc:
        raise ConfigError("format onnx needs the exporters; pip install 'millrace[export]'") from exc
    with quiet():
        graph = onnx_ir.serde.deserialize_model(model)
        # By default it keeps these for their size; here they are the paddings of a traced graph.
        optimizer.fold_constants(graph, should_fold=lambda node: True if node.op_type == "ConstantOfShape" else None)
        optimizer.optimize_ir(graph)
        return onnx_ir.serde.serialize_model(rewriter.rewrite(graph))


def strip_graph(model: Any) -> None:
    """Take away traces of the source code and shapes within, which name files of the machine that exported."""
    for field in (model, model.graph):
        field.ClearField("doc_string")
        field.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for function in model.functions:
        function.ClearField("value_info")
        function.ClearField("metadata_props")
    entries = [*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer]
    for entry in [*entries, *(node for function in model.functions for node in function.node)]:
        entry.ClearField("doc_string")
        entry.ClearField("metadata_props")


def name_axes(model: Any, axes: Mapping[int, str]) -> None:
    """Give the free axes of the only input their names, and the outputs' axes that follow from them."""
    names: dict[str, str] = {}
    for axis, name in axes.items():
        dimension = model.graph.input[0].type.tensor_type.shape.dim[axis]
        names[dimension.dim_param] = name
    for port in (*model.graph.input, *model.graph.output):
        for dimension in port.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), dimension.dim_param)


def finish_graph(model: Any, *, axes: Mapping[int, str], names: Sequence[str], metadata: Mapping[str, str]) -> bytes:
    """Strip, name and check a graph, and give its bytes.

    Args:
        model: onnx ModelProto; modified.
        axes: names of the input's free axes.
        names: of the outputs, in order.
        metadata: written into the file.

    Raises:
        ModelError: the graph is not valid ONNX, or gives other outputs.
    """
    onnx = import_onnx()
    strip_graph(model)
    name_axes(model, axes)
    model.graph.name = "main"
    onnx.helper.set_model_props(model, dict(metadata))
    found = tuple(port.name for port in model.graph.output)
    if found != tuple(names):
        raise ModelError(f"the exported graph must give {', '.join(names)}, got {', '.join(found)}; return tensors")
    check_size(model.ByteSize())
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise ModelError(f"the exported graph must be valid ONNX, got {str(exc)[:300]}; give another --opset") from exc
    return bytes(model.SerializeToString(deterministic=True))


def read_metadata(graph: bytes) -> dict[str, str]:
    """The entries that ``finish_graph`` wrote into a file."""
    return {entry.key: entry.value for entry in import_onnx().load_from_string(graph).metadata_props}


def check_size(num_bytes: int) -> None:
    """Raise ModelError where a graph does not fit one file."""
    if num_bytes > MAX_GRAPH_BYTES:
        raise ModelError(
            f"an ONNX graph must be smaller than 2 GiB with its weights, got {num_bytes / 2**30:.1f} GiB; export to "
            "torch_export, or take a smaller model"
        )
