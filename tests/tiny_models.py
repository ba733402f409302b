"""Model packages of a few kilobytes that a test builds itself: real ONNX graphs with fixed weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.asset_packages import write_package

CLASSES = ["red", "green", "blue"]
OPSET, IR_VERSION = 17, 9
"""Old enough for every ONNX Runtime in use."""


def tiny_classifier(
    folder: Path,
    *,
    side_px: int = 16,
    depth: int = 0,
    channels: int = 3,
    seed: int = 0,
    mixes_batch: bool = False,
) -> Path:
    """Which colour an image has most of.

    Args:
        folder: where the package goes.
        side_px: height and width of the model's input.
        depth: convolutions in between, 16 channels each: time to be interrupted in.
        channels: of the graph's input; the package always gives 3, so that another number is a mistake.
        seed: of the weights; another one is another model.
        mixes_batch: subtract the mean of the batch, so that the rows tell which images shared a forward.
    """
    random = np.random.default_rng(seed)
    nodes, weights, last, width = [], [], "image", channels
    for index in range(depth):
        kernel = random.normal(0, 1 / np.sqrt(9 * width), (16, width, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(kernel, f"kernel{index}"))
        nodes.append(helper.make_node("Conv", [last, f"kernel{index}"], [f"conv{index}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"conv{index}"], [f"relu{index}"]))
        last, width = f"relu{index}", 16
    matrix = 4 * np.eye(width, len(CLASSES)) + random.normal(0, 0.1, (width, len(CLASSES)))
    weights.append(numpy_helper.from_array(matrix.astype(np.float32), "matrix"))
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["own"]),
        helper.make_node("ReduceMean", ["own"], ["mean"], axes=[0 if mixes_batch else 1], keepdims=1),
        helper.make_node("Sub", ["own", "mean"], ["logits"]),
    ]
    shape: list[Any] = ["batch", channels, side_px, side_px]
    save_graph(folder / "tiny.onnx", nodes, weights, shape=shape, output=("logits", ["batch", len(CLASSES)]))
    return write_package(folder, tiny_spec("classification", {"fit": "stretch", "size_hw": [side_px, side_px]}))


def tiny_segmenter(folder: Path) -> Path:
    """Three classes by colour, for every pixel, at the image's own size."""
    matrix = (4 * np.eye(3)).astype(np.float32)[:, :, None, None]
    nodes = [helper.make_node("Conv", ["image", "matrix"], ["planes"])]
    shape: list[Any] = ["batch", 3, "height", "width"]
    save_graph(
        folder / "tiny.onnx", nodes, [numpy_helper.from_array(matrix, "matrix")], shape=shape, output=("planes", shape)
    )
    return write_package(folder, tiny_spec("segmentation", {"fit": "native", "multiple_px": 8}))


def tiny_spec(task: str, fit: dict[str, Any]) -> dict[str, Any]:
    """The package's facts."""
    return {
        "name": f"tiny-{task}",
        "task": task,
        "format": "onnx",
        "weights": "tiny.onnx",
        "classes": CLASSES,
        "input": fit,
        "output": {"top_k": 2},
    }


def save_graph(
    path: Path,
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    *,
    shape: list[Any],
    output: tuple[str, list[Any]],
) -> None:
    """Write an ONNX file with one input, ``image``, and one output."""
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
