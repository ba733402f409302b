from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.errors import ModelError
from inference_core.optimise.graph import count_nodes, optimise_graph, optimise_package
from tests.specs import package_of

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

from tests.onnx_graphs import graph_bytes  # noqa: E402  # needs onnx

RANDOM = np.random.default_rng(0)


def normed_graph() -> bytes:
    """A convolution, a batch norm, a ReLU, and a node that does nothing."""
    nodes = [
        onnx.helper.make_node("Conv", ["image", "kernel"], ["planes"]),
        onnx.helper.make_node("BatchNormalization", ["planes", "scale", "shift", "mean", "variance"], ["normed"]),
        onnx.helper.make_node("Relu", ["normed"], ["positive"]),
        onnx.helper.make_node("Identity", ["positive"], ["same"]),
        onnx.helper.make_node("ReduceMean", ["same"], ["scores"], axes=[2, 3], keepdims=0),
    ]
    weights = {name: RANDOM.random(3).astype(np.float32) + 0.5 for name in ("scale", "shift", "mean", "variance")}
    weights["kernel"] = RANDOM.normal(size=(3, 3, 3, 3)).astype(np.float32)
    return graph_bytes(nodes, inputs={"image": ["batch", 3, 8, 8]}, outputs={"scores": ["batch", 3]}, weights=weights)


GRAPH = normed_graph()


def run(graph: bytes) -> Any:
    images = np.random.default_rng(1).random((2, 3, 8, 8)).astype(np.float32)
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {"image": images})[0]


@pytest.mark.parametrize(
    ("level", "nodes"),
    [
        pytest.param("basic", {"Conv": 1, "Relu": 1, "ReduceMean": 1}, id="basic"),
        pytest.param("extended", {"FusedConv": 1, "ReduceMean": 1}, id="extended"),
    ],
)
def test_batch_norms_and_idle_nodes_go_and_the_outputs_stay(level: Any, nodes: dict[str, int]) -> None:
    optimised = optimise_graph(GRAPH, level=level)
    assert count_nodes(optimised) == nodes
    np.testing.assert_allclose(run(optimised), run(GRAPH), rtol=1e-5, atol=1e-6)


def test_what_was_done_is_told() -> None:
    package = package_of(GRAPH)
    optimised, note = optimise_package(package, level="basic")
    assert note == "5 -> 3 nodes: gone 1 BatchNormalization, 1 Identity; new nothing"
    assert (optimised.spec.format, optimised.spec.weights) == ("onnx", "model.onnx")
    assert optimised.digest != package.digest


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(ModelError, match="weights must be a graph that ONNX Runtime optimises"):
        optimise_graph(b"no graph", level="basic")
