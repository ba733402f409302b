"""The weights of an ONNX graph's layers: read as arrays, replaced, or stored in half precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from inference_core.convert.clean_graph import import_onnx
from inference_core.records import FloatArray

WEIGHTED_OPERATORS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedGemm", "FusedMatMul"})
"""Operators with weights: their second input, or either of a product's."""
MAX_HALF = float(np.finfo(np.float16).max)


def read_layer_weights(graph: bytes) -> dict[str, FloatArray]:
    """Float32 weights of convolutions and linear layers, by name."""
    onnx = import_onnx()
    model = onnx.load_from_string(graph)
    return {name: onnx.numpy_helper.to_array(tensor) for name, tensor in layer_tensors(model).items()}


def replace_layer_weights(graph: bytes, weights: Mapping[str, FloatArray]) -> bytes:
    """The graph with other values in some weights.

    Args:
        graph: the bytes of an ``.onnx`` file.
        weights: by the names of ``read_layer_weights``.
    """
    onnx = import_onnx()
    model = onnx.load_from_string(graph)
    tensors = layer_tensors(model)
    for name, value in weights.items():
        own_name = tensors[name].name  # a constant node's tensor may have none
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(value), own_name))
    return bytes(model.SerializeToString(deterministic=True))


def halve_weights(graph: bytes) -> bytes:
    """The graph with its weights stored as fp16 and turned back by casts, which runtimes compute once, on loading.

    What has fewer than two axes (biases, statistics) stays: it weighs nothing. So does what fp16 cannot hold.
    """
    onnx = import_onnx()
    model = onnx.load_from_string(graph)
    drop_weight_inputs(model)
    casts = []
    for tensor in model.graph.initializer:
        if not fits_half(tensor):
            continue
        name, value = tensor.name, onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(value.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString(deterministic=True))


def layer_tensors(model: Any) -> dict[str, Any]:
    """TensorProtos of layers' float32 weights by the name under which nodes read them."""
    onnx = import_onnx()
    stored = dict(stored_tensors(model))
    names = [name for node in model.graph.node if node.op_type in WEIGHTED_OPERATORS for name in weight_inputs(node)]
    return {name: stored[name] for name in names if name in stored and stored[name].data_type == onnx.TensorProto.FLOAT}


def weight_inputs(node: Any) -> list[str]:
    """Inputs of a node that may be its weight."""
    return list(node.input[:2] if node.op_type in ("MatMul", "FusedMatMul") else node.input[1:2])


def stored_tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """Initialisers, and what constant nodes hold."""
    yield from ((tensor.name, tensor) for tensor in model.graph.initializer)
    for node in model.graph.node:
        if node.op_type == "Constant":
            yield from ((node.output[0], entry.t) for entry in node.attribute if entry.name == "value")


def fits_half(tensor: Any) -> bool:
    """Whether a tensor is a float32 weight that fp16 can hold."""
    onnx = import_onnx()
    if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2:
        return False
    return float(np.abs(onnx.numpy_helper.to_array(tensor)).max(initial=0.0)) <= MAX_HALF


def drop_weight_inputs(model: Any) -> None:
    """Take initialisers off the list of inputs, where old exporters put them too."""
    names = {tensor.name for tensor in model.graph.initializer}
    kept = [entry for entry in model.graph.input if entry.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(kept)
