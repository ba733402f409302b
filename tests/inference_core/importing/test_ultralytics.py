"""Graphs that carry the metadata of an Ultralytics export, in each of the formats that keep it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from inference_core.errors import ModelError
from inference_core.importing.draft import Draft
from inference_core.importing.from_onnx import draft_onnx
from inference_core.importing.from_tflite import find_metadata, read_attached
from inference_core.importing.importer import import_model
from inference_core.importing.ultralytics import class_names, read_size
from inference_core.models.weights import Weights
from inference_core.predictor import Predictor
from inference_core.results import Detection
from tests.onnx_graphs import graph_bytes

NAMES = "{0: 'person', 1: 'car'}"
METADATA = {
    "description": "Ultralytics YOLOv8n model trained on coco.yaml",
    "author": "Ultralytics",
    "version": "8.3.0",
    "stride": "32",
    "task": "detect",
    "batch": "1",
    "imgsz": "[64, 64]",
    "names": NAMES,
}
CELLS = 64 + 16 + 4
"""Of 64 x 64 pixels at strides 8, 16 and 32."""


def export(metadata: dict[str, str], rows: Any, *, size: tuple[Any, Any] = (64, 64), prototypes: Any = None) -> Weights:
    """A graph that gives the same boxes for every image, with the metadata of an export."""
    values = {"output0": np.float32(rows)[None]}
    if prototypes is not None:
        values["output1"] = np.float32(prototypes)[None]
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0, axes=[1, 2, 3]),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    for name in values:
        axes = f"{name}_axes"
        nodes.append(helper.make_node("Unsqueeze", ["nothing", axes], [f"{name}_none"]))
        nodes.append(helper.make_node("Add", [f"{name}_none", f"{name}_values"], [name]))
    weights: dict[str, Any] = {"zero": np.float32(0)}
    for name, array in values.items():
        weights |= {f"{name}_values": array, f"{name}_axes": np.arange(1, array.ndim)}
    data = graph_bytes(
        nodes,
        inputs={"images": [1, 3, *size]},
        outputs={name: [1, *array.shape[1:]] for name, array in values.items()},
        weights=weights,
    )
    model = onnx.load_model_from_string(data)
    helper.set_model_props(model, metadata)
    return Weights(name="yolov8n.onnx", files={"yolov8n.onnx": model.SerializeToString()})


def boxes(num_values: int = 6) -> np.ndarray[Any, Any]:
    """One certain car in the middle of the first cell's row, nothing elsewhere; (values, cells)."""
    rows = np.zeros((num_values, CELLS), np.float32)
    rows[:4] = np.array([32, 16, 16, 8])[:, None]
    rows[5, 7] = 0.9
    return rows


def facts(draft: Draft) -> dict[str, Any]:
    return {fact.key: fact.value for fact in draft.found}


def test_the_metadata_completes_a_detector() -> None:
    draft = draft_onnx(export(METADATA, boxes()), given={})
    assert draft.missing == ()
    known = facts(draft)
    assert known["classes"] == ["person", "car"]
    assert (known["task"], known["output.decoder"]) == ("detection", {"name": "yolov8"})
    assert (known["input.fit"], known["input.pad_value"], known["input.size_hw"]) == ("letterbox", 114, [64, 64])
    assert (known["input.scale"], known["input.mean"], known["input.std"]) == (255.0, [0.0], [1.0])
    assert (known["output.threshold"], known["output.nms.iou_threshold"]) == (0.25, 0.7)


def test_such_a_file_is_a_package_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "yolov8n.onnx"
    path.write_bytes(export(METADATA, boxes()).data)
    package = import_model(str(path), out=str(tmp_path / "out"), said={}).package
    # An image twice as large as the input, so that the letterbox halves it and boxes come back doubled.
    result = Predictor.load(package, num_threads=1).predict(np.zeros((128, 128, 3), np.uint8)).result
    assert isinstance(result, Detection)
    assert result.labels == ("car",)
    np.testing.assert_allclose(result.boxes_xyxy, [[48, 24, 80, 40]], atol=1e-4)


def test_the_size_of_a_dynamic_export_is_in_the_metadata() -> None:
    draft = draft_onnx(export(METADATA, boxes(), size=("height", "width")), given={})
    assert draft.missing == ()
    assert facts(draft)["input.size_hw"] == [64, 64]


def test_yolov5_says_no_task() -> None:
    metadata = {"stride": "32", "names": NAMES}
    rows = np.repeat(boxes(7).T, 3, axis=0) * [1, 1, 1, 1, 0.01, 0.01, 0.01]
    draft = draft_onnx(export(metadata, rows), given={})
    assert draft.missing == ()
    assert facts(draft)["output.decoder"] == {"name": "yolov5"}
    assert facts(draft)["output.nms.iou_threshold"] == 0.45


def test_masks() -> None:
    metadata = {**METADATA, "task": "segment"}
    draft = draft_onnx(export(metadata, boxes(4 + 2 + 3), prototypes=np.zeros((3, 16, 16))), given={})
    assert draft.missing == ()
    assert facts(draft)["output.decoder"] == {"name": "yolov8", "masks": True}


def test_a_classifier() -> None:
    metadata = {**METADATA, "task": "classify"}
    draft = draft_onnx(export(metadata, np.array([0.75, 0.25])), given={})
    assert draft.missing == ()
    known = {fact.key: fact.value for fact in (*draft.assumed, *draft.found)}
    assert (known["task"], known["output.activation"]) == ("classification", "none")
    assert (known["input.fit"], known["input.scale"]) == ("shortest_side_crop", 255.0)


@pytest.mark.parametrize(
    ("metadata", "rows", "message"),
    [
        pytest.param({"task": "pose"}, boxes(), r"one of detect, .*, got Ultralytics task pose", id="pose"),
        pytest.param({}, np.zeros((300, 6)), r"boxes of all cells, .*nms=False", id="end-to-end"),
        pytest.param({"names": "person"}, boxes(), r"must hold names by position, got 'person'", id="names"),
        pytest.param({"names": "{1: 'car'}"}, boxes(), r"names by position", id="hole"),
        pytest.param({"names": "[1, 2]"}, boxes(), r"names by position", id="numbers"),
    ],
)  # fmt: skip
def test_what_is_not_read(metadata: dict[str, str], rows: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        draft_onnx(export({**METADATA, **metadata}, rows), given={})


@pytest.mark.parametrize(
    ("text", "names"),
    [("{0: 'a', 1: 'b'}", ["a", "b"]), ("{1: 'b', 0: 'a'}", ["a", "b"]), ("['a', \"b's\"]", ["a", "b's"])],
    ids=["mapping", "unordered", "list"],
)
def test_names(text: str, names: list[str]) -> None:
    assert class_names({"names": text}) == names


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("[640, 480]", [640, 480]),
        ("640", [640, 640]),
        ("(32, 64)", [32, 64]),
        ("[640]", None),
        ("x", None),
        ("-1", None),
    ],
)
def test_sizes(text: str, size: list[int] | None) -> None:
    assert read_size({"imgsz": text}) == size


def test_no_size() -> None:
    assert read_size({}) is None


def test_a_zip_behind_a_tflite_graph_holds_it_as_json() -> None:
    buffer = io.BytesIO(b"\x1c\0\0\0TFL3 and a graph")
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("notes.txt", "no json")
        archive.writestr("temp_meta.txt", json.dumps({**METADATA, "names": {0: "a"}, "imgsz": [64, 64]}))
    found = find_metadata(read_attached(buffer.getvalue()))
    assert found is not None
    assert (found["imgsz"], found["task"]) == ("[64, 64]", "detect")
