from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from inference_core.convert.clean_graph import finish_graph, fold_graph, name_axes, read_metadata, strip_graph
from inference_core.errors import ModelError
from tests.onnx_graphs import channel_means, graph_bytes


def graph_of(height: str, width: str) -> onnx.ModelProto:
    return onnx.load_from_string(channel_means(batch="s0", size_hw=(height, width)))


def shapes(model: onnx.ModelProto) -> list[list[str | int]]:
    ports = (*model.graph.input, *model.graph.output)
    return [[axis.dim_param or axis.dim_value for axis in port.type.tensor_type.shape.dim] for port in ports]


def test_axes_are_named_wherever_they_show() -> None:
    model = graph_of("s1", "8*((s1//8))")
    name_axes(model, {0: "batch", 2: "height"})
    assert shapes(model) == [["batch", 3, "height", "8*((height//8))"], ["batch", 3]]


def test_traces_of_the_source_are_taken_away() -> None:
    model = graph_of("h", "w")
    node = model.graph.node[0]
    node.doc_string = "/home/someone/net.py"
    node.metadata_props.add(key="stack", value="/home/someone/net.py")
    model.graph.doc_string = model.doc_string = "/home/someone"
    model.metadata_props.add(key="from", value="/home/someone")
    assert b"/home" in model.SerializeToString()
    strip_graph(model)
    assert b"/home" not in model.SerializeToString()


def test_what_depends_on_no_input_is_computed() -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["four"], ["zeros"]),
        helper.make_node("Cast", ["zeros"], ["pads"], to=onnx.TensorProto.INT64),
        helper.make_node("Concat", ["pads", "ones"], ["all"], axis=0),
        helper.make_node("Pad", ["image", "all"], ["padded"]),
        helper.make_node("ReduceMean", ["padded"], ["scores"], axes=[2, 3], keepdims=0),
    ]
    weights = {"four": np.array([4]), "ones": np.array([0, 0, 1, 1])}
    shape = ["batch", 3, "height", "width"]
    graph = graph_bytes(nodes, inputs={"image": shape}, outputs={"scores": ["batch", 3]}, weights=weights)
    folded = fold_graph(onnx.load_from_string(graph))
    assert [node.op_type for node in folded.graph.node] == ["Pad", "ReduceMean"]


def test_metadata_is_read_back() -> None:
    graph = finish_graph(graph_of("h", "w"), axes={}, names=["scores"], metadata={"a": "1", "b": "two"})
    assert read_metadata(graph) == {"a": "1", "b": "two"}


def test_other_outputs_are_refused() -> None:
    with pytest.raises(ModelError, match="must give logits, boxes, got scores"):
        finish_graph(graph_of("h", "w"), axes={}, names=["logits", "boxes"], metadata={})


def test_what_is_no_valid_graph_is_refused() -> None:
    model = graph_of("h", "w")
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ModelError, match=r"must be valid ONNX, got .*NoSuchOperator"):
        finish_graph(model, axes={}, names=["scores"], metadata={})
