from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from inference_core.errors import ModelError
from inference_core.importing.from_onnx import draft_onnx, find_ending, read_graph
from inference_core.models.weights import Weights
from tests.onnx_graphs import channel_means, graph_bytes


def file_of(data: bytes) -> Weights:
    return Weights(name="net.onnx", files={"net.onnx": data})


def ends_with(*operators: str) -> Weights:
    """Scores of three classes through nodes in a row."""
    nodes = [helper.make_node("ReduceMean", ["image"], ["0"], axes=[2, 3], keepdims=0)]
    for index, operator in enumerate(operators):
        inputs = [str(index)] + ["shape"] * (operator == "Reshape")
        options: dict[str, Any] = {"axis": 1} if operator in ("Softmax", "Flatten") else {}
        nodes.append(helper.make_node(operator, inputs, [str(index + 1)], **options))
    nodes[-1].output[0] = "out"
    return file_of(
        graph_bytes(
            nodes,
            inputs={"image": ["N", 3, 8, 8]},
            outputs={"out": ["N", 3]},
            weights={"shape": np.array([-1, 3])},
        )
    )


@pytest.mark.parametrize(
    ("operators", "ending"),
    [
        (["Softmax"], "softmax"),
        (["Sigmoid"], "sigmoid"),
        (["Softmax", "Identity"], "softmax"),
        (["Sigmoid", "Flatten", "Reshape"], "sigmoid"),
        (["Softmax", "Relu"], None),
        (["Relu"], None),
        ([], None),
    ],
    ids=["softmax", "sigmoid", "identity", "reshaped", "relu-behind", "relu", "nothing"],
)
def test_the_last_node_tells_the_activation(operators: list[str], ending: str | None) -> None:
    weights = ends_with(*operators)
    assert find_ending(read_graph(weights)) == ending
    known = {fact.key: fact.value for fact in draft_onnx(weights, given={}).found}
    assert known.get("output.activation") == ("none" if ending else None)


@pytest.mark.parametrize("batch", [1, "N"], ids=["fixed", "free"])
def test_a_fixed_batch_is_noted(batch: Any) -> None:
    draft = draft_onnx(file_of(channel_means(batch=batch, size_hw=(8, 8))), given={})
    origins = {fact.key: fact.origin for fact in draft.found}
    assert ("fixes the batch at 1" in origins["input.size_hw"]) == (batch == 1)


def test_several_inputs_are_refused() -> None:
    node = helper.make_node("Add", ["image", "mask"], ["out"])
    shape = ["N", 3, 8, 8]
    data = graph_bytes([node], inputs={"image": shape, "mask": shape}, outputs={"out": shape})
    with pytest.raises(ModelError, match=r"one input, got 2 \(image, mask\); export it with the image alone"):
        draft_onnx(file_of(data), given={})


def test_weights_among_the_inputs_are_none() -> None:
    node = helper.make_node("Conv", ["image", "kernel"], ["out"])
    data = graph_bytes(
        [node],
        inputs={"image": ["N", 3, 8, 8], "kernel": [2, 3, 1, 1]},
        outputs={"out": ["N", 2, 8, 8]},
        weights={"kernel": np.ones((2, 3, 1, 1), np.float32)},
    )
    known = {fact.key: fact.value for fact in draft_onnx(file_of(data), given={}).assumed}
    assert known["task"] == "segmentation"


@pytest.mark.parametrize("data", [b"", b"no graph at all, only text"], ids=["empty", "text"])
def test_what_is_no_graph(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"must be an ONNX file, got net\.onnx"):
        draft_onnx(file_of(data), given={})
