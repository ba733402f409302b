from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from inference_core.engines.protocol import EngineFacts
from inference_core.golden.arithmetic import arithmetic_of, is_quantised, judges_outputs
from inference_core.models.package import ModelPackage, load_package
from inference_core.models.weights import Weights
from tests.asset_packages import write_package
from tests.onnx_graphs import channel_means, graph_bytes
from tests.specs import package_of
from tests.tiny_models import tiny_classifier

FLOAT_FACTS = EngineFacts(engine="onnxruntime", device="cpu", precision="fp32", num_threads=1)


def quantised(folder: Path) -> ModelPackage:
    """Three channel means, rounded to steps of 1/128."""
    scales = {"scale": [1 / 128], "zero": [0]}
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Constant", [], ["scale"], value_float=scales["scale"][0]),
        helper.make_node("QuantizeLinear", ["means", "scale"], ["steps"]),
        helper.make_node("DequantizeLinear", ["steps", "scale"], ["scores"]),
    ]
    graph = graph_bytes(nodes, inputs={"image": ["batch", 3, 8, 8]}, outputs={"scores": ["batch", 3]})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.onnx").write_bytes(graph)
    spec = {
        "name": "quantised",
        "task": "classification",
        "format": "onnx",
        "weights": "tiny.onnx",
        "classes": ["red", "green", "blue"],
        "input": {"fit": "stretch", "size_hw": [8, 8]},
    }
    return load_package(str(write_package(folder, spec)))


def test_a_graph_that_rounds_on_its_way_is_quantised(tmp_path: Path) -> None:
    assert is_quantised(quantised(tmp_path / "quantised"))
    assert not is_quantised(load_package(str(tiny_classifier(tmp_path / "float"))))
    assert arithmetic_of(quantised(tmp_path / "quantised"), FLOAT_FACTS) == "int8"
    assert arithmetic_of(package_of(channel_means()), FLOAT_FACTS) == "fp32"


def test_an_openvino_model_tells_in_its_xml() -> None:
    plain = package_of(b"", {"format": "openvino", "weights": "m.xml"})
    for mark, expected in ((b"<layer type='FakeQuantize'/>", True), (b"<layer type='Convolution'/>", False)):
        weights = Weights(name="m", files={"model.xml": mark, "model.bin": b""})
        package = ModelPackage(uri="", spec=plain.spec, weights_uri="", weights=weights, digest="", code=plain.code)
        assert is_quantised(package) is expected


@pytest.mark.parametrize(
    ("engine", "precision", "sealed_engine", "sealed_precision", "expected"),
    [
        pytest.param("onnxruntime", "fp32", "onnxruntime", "fp32", True, id="same"),
        pytest.param("openvino", "fp32", "onnxruntime", "fp32", True, id="other-engine"),
        pytest.param("onnxruntime", "bf16", "onnxruntime", "fp32", False, id="lower"),
        pytest.param("litert", "int8", "litert", "int8", True, id="integers"),
        pytest.param("openvino", "int8", "onnxruntime", "int8", False, id="integers-of-another-engine"),
    ],
)
def test_when_raw_outputs_count(
    engine: str, precision: str, sealed_engine: str, sealed_precision: str, expected: bool
) -> None:
    found = judges_outputs(
        engine=engine, precision=precision, sealed_engine=sealed_engine, sealed_precision=sealed_precision
    )
    assert found is expected
