from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inference_core import storage
from inference_core.engines.build import build_engine
from inference_core.errors import ModelError
from inference_core.models.onnx_side_files import list_side_files
from inference_core.models.package import load_package
from inference_core.models.weights import Weights, read_weights
from tests.asset_packages import write_package
from tests.tiny_models import IR_VERSION, OPSET

SIDE_FILE = "tensors.bin"


def graph_with(*tensors: onnx.TensorProto, nodes: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
    """A model that multiplies its image's channel means by the first tensor, ``matrix``."""
    plain = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes or plain,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        list(tensors),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def tensor(name: str = "matrix", *, location: str | None = None, size: int = 3) -> onnx.TensorProto:
    """An identity; with ``location`` only its place."""
    made = numpy_helper.from_array(np.eye(size, dtype=np.float32), name)
    if location is not None:
        onnx.external_data_helper.set_external_data(made, location, offset=0, length=len(made.raw_data))
        made.ClearField("raw_data")
    return made


def write_model(folder: Path, *, name: str = "tiny.onnx") -> Path:
    """A graph whose tensors lie in a file beside it, as the onnx library writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save_model(
        graph_with(tensor()), folder / name, save_as_external_data=True, location=SIDE_FILE, size_threshold=0
    )
    return folder / name


def read(path: Path) -> Weights:
    return read_weights(storage.normalise(str(path)), weights_format="onnx")


def nested_graph(location: str) -> onnx.ModelProto:
    """The tensor is an attribute of a node in a branch of an If."""
    constant = helper.make_node("Constant", [], ["value"], value=tensor("value", location=location))
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("value", 1, [3, 3])])
    return graph_with(nodes=[helper.make_node("If", ["image"], ["logits"], then_branch=branch, else_branch=branch)])


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        pytest.param(b"", [], id="empty"),
        pytest.param(b"no graph at all, but some text" * 9, [], id="text"),
        pytest.param(graph_with(tensor()).SerializeToString(), [], id="inside"),
        pytest.param(graph_with(tensor(location="a.data")).SerializeToString(), ["a.data"], id="beside"),
        pytest.param(
            graph_with(
                tensor(location="b.data"), tensor("two", location="a/c.data"), tensor("three", location="b.data")
            ).SerializeToString(),
            ["a/c.data", "b.data"],
            id="several",
        ),
        pytest.param(nested_graph("deep.data").SerializeToString(), ["deep.data"], id="in a branch"),
    ],
)
def test_the_files_that_a_graph_names(graph: bytes, expected: list[str]) -> None:
    assert list_side_files(graph) == expected


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "C:\\secret", "s3://bucket/key"])
def test_a_graph_cannot_name_files_elsewhere(path: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").write_bytes(graph_with(tensor(location=path)).SerializeToString())
    with pytest.raises(ModelError, match=r"the graph must keep its tensors in files beside it, got .*; save it again"):
        read(tmp_path / "tiny.onnx")


def test_damaged_graphs_name_nothing_or_what_they_named() -> None:
    content = graph_with(tensor(location="a.data")).SerializeToString()
    chance = random.Random(0)
    for _ in range(500):
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with suppress(ModelError):  # of a path that the damage made
            list_side_files(bytes(damaged[: chance.randrange(len(damaged))]))


def test_a_graph_of_endless_branches_names_nothing() -> None:
    message = b""
    for _ in range(2000):  # graph > node > attribute > graph
        for field in (0x32, 0x2A, 0x0A):
            message = bytes([field]) + varint(len(message)) + message
    assert list_side_files(b"\x3a" + varint(len(message)) + message) == []


def varint(value: int) -> bytes:
    """A length as protocol buffers write it."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def test_all_files_are_read_and_digested(tmp_path: Path) -> None:
    weights = read(write_model(tmp_path / "a"))
    assert sorted(weights.files) == ["model.onnx", SIDE_FILE]
    assert (weights.name, weights.main) == ("tiny.onnx", "model.onnx")
    assert read(write_model(tmp_path / "b", name="renamed.onnx")).sha256 == weights.sha256
    side_file = tmp_path / "a" / SIDE_FILE
    side_file.write_bytes(bytes(len(side_file.read_bytes())))
    assert read(tmp_path / "a" / "tiny.onnx").sha256 != weights.sha256


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    (tmp_path / SIDE_FILE).unlink()
    with pytest.raises(
        ModelError, match=r"the graph .*tiny\.onnx keeps tensors in .*tensors\.bin, which must lie there"
    ):
        read(path)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_run_a_graph_with_its_files(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    write_model(tmp_path)
    spec: dict[str, Any] = {
        "name": "tiny",
        "task": "classification",
        "format": "onnx",
        "weights": "tiny.onnx",
        "classes": ["red", "green", "blue"],
        "input": {"fit": "stretch", "size_hw": [8, 8], "scale": 1.0},
    }
    package = load_package(str(write_package(tmp_path, spec)))
    built = build_engine(package, device="cpu", precision="fp32", num_threads=1, engine=engine)
    batch = np.full((2, 8, 8, 3), (10, 20, 30), np.uint8)
    np.testing.assert_allclose(built.run(batch)["logits"], [[10, 20, 30]] * 2, rtol=1e-6)
