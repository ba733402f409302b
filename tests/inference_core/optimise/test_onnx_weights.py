from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.optimise.onnx_weights import halve_weights, read_layer_weights, replace_layer_weights

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

from tests.onnx_graphs import graph_bytes  # noqa: E402  # needs onnx

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.normal(size=(4, 3, 1, 1)).astype(np.float32)
MATRIX = RANDOM.normal(size=(4, 2)).astype(np.float32)
BIAS = RANDOM.normal(size=4).astype(np.float32)
IMAGES = RANDOM.random((2, 3, 5, 5)).astype(np.float32)


def small_graph(*, kernel: Any = KERNEL, is_constant: bool = False) -> bytes:
    """A convolution, a pool and a product."""
    nodes = [
        onnx.helper.make_node("Conv", ["image", "kernel", "bias"], ["planes"]),
        onnx.helper.make_node("GlobalAveragePool", ["planes"], ["pooled"]),
        onnx.helper.make_node("Flatten", ["pooled"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "matrix"], ["scores"]),
    ]
    weights = {"kernel": kernel, "bias": BIAS, "matrix": MATRIX}
    if is_constant:
        value = onnx.numpy_helper.from_array(weights.pop("kernel"))
        nodes.insert(0, onnx.helper.make_node("Constant", [], ["kernel"], value=value))
    return graph_bytes(nodes, inputs={"image": ["batch", 3, 5, 5]}, outputs={"scores": ["batch", 2]}, weights=weights)


def run(graph: bytes) -> Any:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {"image": IMAGES})[0]


@pytest.mark.parametrize("is_constant", [False, True], ids=["initialiser", "constant-node"])
def test_weights_of_layers_are_read_and_replaced(is_constant: bool) -> None:
    graph = small_graph(is_constant=is_constant)
    weights = read_layer_weights(graph)
    assert sorted(weights) == ["kernel", "matrix"]  # the bias is none
    np.testing.assert_array_equal(weights["kernel"], KERNEL)
    changed = replace_layer_weights(graph, {"kernel": KERNEL * 2, "matrix": MATRIX})
    np.testing.assert_array_equal(read_layer_weights(changed)["kernel"], KERNEL * 2)
    np.testing.assert_allclose(run(changed), run(small_graph(kernel=KERNEL * 2)), rtol=1e-6)


def test_a_graph_without_layers_has_no_weights() -> None:
    nodes = [onnx.helper.make_node("Relu", ["image"], ["scores"])]
    graph = graph_bytes(nodes, inputs={"image": ["batch", 3]}, outputs={"scores": ["batch", 3]})
    assert read_layer_weights(graph) == {}


def test_halved_weights_are_those_that_fp16_holds() -> None:
    halved = halve_weights(small_graph())
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load_from_string(halved).graph.initializer}
    half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    assert kinds == {"kernel_half": half, "matrix_half": half, "bias": full}
    rounded = small_graph(kernel=KERNEL.astype(np.float16).astype(np.float32))
    rounded = replace_layer_weights(rounded, {"matrix": MATRIX.astype(np.float16).astype(np.float32)})
    np.testing.assert_allclose(run(halved), run(rounded), rtol=1e-6)


def test_weights_that_fp16_cannot_hold_stay() -> None:
    halved = halve_weights(small_graph(kernel=KERNEL * 1e6))
    names = [tensor.name for tensor in onnx.load_from_string(halved).graph.initializer]
    assert sorted(names) == ["bias", "kernel", "matrix_half"]
    np.testing.assert_allclose(run(halved), run(small_graph(kernel=KERNEL * 1e6)), rtol=1e-2)


def test_weights_that_old_exporters_list_as_inputs_can_be_halved() -> None:
    model = onnx.load_from_string(small_graph())
    model.graph.input.append(onnx.helper.make_tensor_value_info("kernel", onnx.TensorProto.FLOAT, KERNEL.shape))
    halved = halve_weights(model.SerializeToString())
    assert [entry.name for entry in onnx.load_from_string(halved).graph.input] == ["image"]
    assert np.isfinite(run(halved)).all()
