from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from inference_core.engines.normalize import ArrayNormalizer
from inference_core.engines.onnx_engine import CUDA_PROVIDER, OnnxEngine
from inference_core.errors import ConfigError, EngineError, ModelError
from inference_core.records import Uint8Array
from tests.onnx_graphs import channel_means, graph_bytes
from tests.specs import input_spec


@pytest.fixture
def onnx_device(device: str) -> str:
    """The device, where this ONNX Runtime has it."""
    if device != "cpu" and CUDA_PROVIDER not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime is built for the CPU")
    return device


def engine_of(graph: bytes, options: dict[str, Any] | None = None, *, device: str = "cpu") -> OnnxEngine:
    return OnnxEngine(graph, input_spec(options), device=device, num_threads=1)


def pixels(count: int, *, channels: int = 3, size_hw: tuple[int, int] = (8, 8)) -> Uint8Array:
    batch = np.random.default_rng(count).integers(0, 256, (count, *size_hw, channels), np.uint8)
    batch.setflags(write=False)
    return batch


@pytest.mark.parametrize(
    ("graph", "options"),
    [
        pytest.param({}, {}, id="free"),
        pytest.param({"size_hw": (8, 8)}, {}, id="fixed-size"),
        pytest.param({}, {"color": "bgr", "mean": [0.1, 0.2, 0.3]}, id="bgr"),
        pytest.param({"channels": 1}, {"color": "gray"}, id="gray"),
        pytest.param({"channels": "c"}, {}, id="free-channels"),
        pytest.param({"layout": "BHWC"}, {"layout": "BHWC"}, id="channels-last"),
        pytest.param({}, {"fit": "native", "size_hw": None}, id="native"),
    ],
)
def test_a_graph_sees_the_normalised_pixels(graph: dict[str, Any], options: dict[str, Any], onnx_device: str) -> None:
    engine = engine_of(channel_means(**graph), options, device=onnx_device)
    spec = input_spec(options)
    batch = pixels(3, channels=spec.num_channels)
    outputs = engine.run(batch)
    expected = ArrayNormalizer(spec).normalize(batch).mean(axis=(1, 2) if spec.layout == "BHWC" else (2, 3))
    assert list(outputs) == ["scores"]
    assert outputs["scores"].dtype == np.float32
    np.testing.assert_allclose(outputs["scores"], expected, atol=1e-6)


def test_the_facts_of_a_free_graph() -> None:
    facts = engine_of(channel_means()).facts
    assert str(facts) == "onnxruntime on cpu, fp32"
    assert (facts.num_threads, facts.max_batch) == (1, None)


def test_half_precision_goes_in_and_float_comes_out(onnx_device: str) -> None:
    engine = engine_of(channel_means(dtype=TensorProto.FLOAT16), device=onnx_device)
    batch = pixels(2)
    scores = engine.run(batch)["scores"]
    assert engine.facts.precision == "fp16"
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, batch.mean(axis=(1, 2)) / 255, atol=2**-10)


def test_double_precision_becomes_float() -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Cast", ["means"], ["scores"], to=TensorProto.DOUBLE),
    ]
    shape = ["batch", 3, "height", "width"]
    graph = graph_bytes(
        nodes, inputs={"image": shape}, outputs={"scores": ["batch", 3]}, output_type=TensorProto.DOUBLE
    )
    assert engine_of(graph).run(pixels(1))["scores"].dtype == np.float32


@pytest.mark.parametrize("fixed", [1, 4])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_fixed_batch_is_filled_up(fixed: int, count: int) -> None:
    engine = engine_of(channel_means(batch=fixed))
    assert engine.facts.max_batch == fixed
    batch = pixels(count)
    if count > fixed:
        with pytest.raises(EngineError, match="Got invalid dimensions"):
            engine.run(batch)
    else:
        scores = engine.run(batch)["scores"]
        assert scores.shape == (count, 3)
        np.testing.assert_allclose(scores, batch.mean(axis=(1, 2)) / 255, atol=1e-6)


def two_outputs() -> bytes:
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMax", ["image"], ["largest"], axes=[2, 3], keepdims=0),
    ]
    outputs = {"means": ["batch", 3], "largest": ["batch", 3]}
    return graph_bytes(nodes, inputs={"image": ["batch", 3, "height", "width"]}, outputs=outputs)


def test_all_outputs_come_by_name_in_the_graphs_order() -> None:
    batch = pixels(2)
    outputs = engine_of(two_outputs()).run(batch)
    assert list(outputs) == ["means", "largest"]
    np.testing.assert_allclose(outputs["largest"], batch.max(axis=(1, 2)) / 255, atol=1e-6)


def test_outputs_that_are_no_tensors_are_left_out() -> None:
    shape = ["batch", 3, 8, 8]
    tensor = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])
    sequence = helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, ["batch", 3])
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["scores"], axes=[2, 3], keepdims=0),
        helper.make_node("SequenceConstruct", ["scores"], ["list"]),
    ]

    def graph(outputs: list[Any]) -> bytes:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
        made = helper.make_graph(nodes, "tiny", [image], outputs)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return bytes(model.SerializeToString())

    assert list(engine_of(graph([sequence, tensor])).run(pixels(1))) == ["scores"]
    with pytest.raises(ModelError, match=r"the graph must give tensors, got seq\(tensor\(float\)\); export it without"):
        engine_of(graph([sequence]))


def two_inputs() -> bytes:
    shape = ["batch", 3, "height", "width"]
    node = helper.make_node("Add", ["image", "other"], ["sum"])
    return graph_bytes([node], inputs={"image": shape, "other": shape}, outputs={"sum": shape})


def flat_input() -> bytes:
    node = helper.make_node("Identity", ["image"], ["scores"])
    return graph_bytes([node], inputs={"image": ["batch", 3]}, outputs={"scores": ["batch", 3]})


def integer_input() -> bytes:
    node = helper.make_node("Identity", ["image"], ["scores"])
    shape, kind = ["batch", 3, 8, 8], TensorProto.UINT8
    return graph_bytes([node], inputs={"image": shape}, outputs={"scores": shape}, input_type=kind, output_type=kind)


@pytest.mark.parametrize(
    ("graph", "options", "message"),
    [
        pytest.param(
            two_inputs(), {}, r"the graph must have one input, got 2 \(image, other\); export it with", id="two-inputs"
        ),
        pytest.param(flat_input(), {}, r"input must have 4 axes, got \['batch', 3\]; export it with a batch", id="2-d"),
        pytest.param(integer_input(), {}, r"input must be float or float16, got tensor\(uint8\); export", id="uint8"),
        pytest.param(
            channel_means(channels=1),
            {},
            r"the graph takes 1 along C .*, the package gives 3; correct input.color \(or input.layout\)",
            id="gray-graph",
        ),
        pytest.param(channel_means(), {"color": "gray"}, "takes 3 along C .*, the package gives 1", id="gray-package"),
        pytest.param(channel_means(), {"layout": "BHWC"}, "takes 3 along H .*gives 8; correct input.size", id="layout"),
        pytest.param(
            channel_means(size_hw=(8, 16)),
            {},
            "takes 16 along W .*, the package gives 8; correct input.size_hw",
            id="w",
        ),
        pytest.param(b"", {}, "weights must be an ONNX graph that this ONNX Runtime opens: .*; export", id="empty"),
        pytest.param(b"garbage", {}, "weights must be an ONNX graph that this ONNX Runtime opens: .*", id="garbage"),
    ],
)
def test_graphs_that_do_not_fit_are_refused(graph: bytes, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        engine_of(graph, options)


def test_a_batch_that_the_graph_refuses() -> None:
    engine = engine_of(channel_means(size_hw=(8, 8)))
    with pytest.raises(EngineError, match="Got invalid dimensions for input: image"):
        engine.run(pixels(1, size_hw=(8, 9)))


def test_without_the_cuda_provider() -> None:
    if CUDA_PROVIDER in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has the CUDA provider")
    with pytest.raises(ConfigError, match="device cuda:0 needs ONNX Runtime's CUDA provider; pip install onnxruntime-"):
        engine_of(channel_means(), device="cuda:0")
