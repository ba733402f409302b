"""What an ONNX file tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference_core.errors import ConfigError, ModelError
from inference_core.importing.draft import Draft
from inference_core.importing.graph import draft_graph
from inference_core.importing.input_facts import GraphInput, only_input
from inference_core.importing.ultralytics import draft_ultralytics, is_ultralytics, probing_facts
from inference_core.models.weights import Weights

PASSES = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
"""Nodes that leave values as they are."""
ENDINGS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}


def draft_onnx(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """The facts in a graph, its metadata among them.

    Args:
        weights: the file.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: onnx is not installed, or the user's classes do not fit.
        ModelError: the file is no graph, or it takes something else than one image batch.
    """
    model = read_graph(weights)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    port = only_input(list_inputs(model))
    if not is_ultralytics(metadata):
        return draft_graph(weights, "onnx", port=port, given=given, ending=find_ending(model))
    said = {**probing_facts(metadata), **given}
    draft = draft_graph(weights, "onnx", port=port, given=said, ending=find_ending(model))
    return draft_ultralytics(metadata, draft)


def read_graph(weights: Weights) -> Any:
    """The file as ``onnx.ModelProto``."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as exc:
        raise ConfigError("importing an ONNX file needs onnx; pip install 'millrace[onnx]'") from exc
    try:
        model = onnx.load_model_from_string(weights.data)
    except DecodeError as exc:
        raise ModelError(f"model must be an ONNX file, got {weights.name} ({exc}); export it again") from exc
    if not model.graph.node:
        raise ModelError(f"model must be an ONNX file, got {weights.name} without a graph; export it again")
    return model


def list_inputs(model: Any) -> list[GraphInput]:
    """The inputs that are no weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [
        GraphInput(
            name=entry.name,
            shape=tuple(
                axis.dim_value if axis.HasField("dim_value") and axis.dim_value > 0 else None
                for axis in entry.type.tensor_type.shape.dim
            ),
        )
        for entry in model.graph.input
        if entry.name not in weights
    ]


def find_ending(model: Any) -> str | None:
    """``softmax`` or ``sigmoid`` where the only output comes from such a node."""
    if len(model.graph.output) != 1:
        return None
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(model.graph.output[0].name)
    while node is not None and node.op_type in PASSES:
        node = makers.get(node.input[0])
    return ENDINGS.get(node.op_type) if node is not None else None
