"""ONNX graphs of a few nodes, as bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 9
"""Old enough for every ONNX Runtime in use."""

FLOAT = TensorProto.FLOAT
Shape = Sequence[Any]


def graph_bytes(
    nodes: Sequence[onnx.NodeProto],
    *,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    weights: Mapping[str, Any] | None = None,
    input_type: int = FLOAT,
    output_type: int = FLOAT,
) -> bytes:
    """A checked graph.

    Args:
        nodes: in order.
        inputs: shapes by name; a text or None leaves an axis free.
        outputs: likewise.
        weights: arrays by name.
        input_type: element type of all inputs.
        output_type: element type of all outputs.
    """
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, input_type, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, output_type, list(shape)) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def channel_means(
    *,
    batch: Any = "batch",
    channels: Any = 3,
    size_hw: tuple[Any, Any] = ("height", "width"),
    layout: str = "BCHW",
    dtype: int = FLOAT,
) -> bytes:
    """(B, C) means of the channels of one image each."""
    sizes = {"B": batch, "C": channels, "H": size_hw[0], "W": size_hw[1]}
    shape = [sizes[axis] for axis in layout]
    axes = [index for index, axis in enumerate(layout) if axis in "HW"]
    nodes = [helper.make_node("ReduceMean", ["image"], ["scores"], axes=axes, keepdims=0)]
    return graph_bytes(
        nodes, inputs={"image": shape}, outputs={"scores": [batch, channels]}, input_type=dtype, output_type=dtype
    )


def pixel_planes(matrix: Any, *, bias: Any = None, stride: int = 1) -> bytes:
    """A 1 x 1 convolution: (B, C, H, W) to (B, K, H / stride, W / stride).

    Args:
        matrix: (K, C) float.
        bias: (K,) float.
        stride: pixels that one output pixel stands for.
    """
    kernel = np.asarray(matrix, np.float32)[:, :, None, None]
    weights = {"kernel": kernel, "bias": np.zeros(len(kernel), np.float32) if bias is None else np.float32(bias)}
    node = helper.make_node("Conv", ["image", "kernel", "bias"], ["planes"], strides=[stride, stride])
    return graph_bytes(
        [node],
        inputs={"image": ["batch", kernel.shape[1], "height", "width"]},
        outputs={"planes": ["batch", len(kernel), "rows", "columns"]},
        weights=weights,
    )
