from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.importing.from_tflite import (
    draft_tflite,
    find_labels,
    find_metadata,
    pixel_range,
    read_attached,
)
from inference_core.importing.input_facts import GraphInput, draft_input
from inference_core.models.weights import read_weights


def tensor(dtype: Any, scale: float, zero_point: int) -> dict[str, Any]:
    return {"dtype": dtype, "quantization": (scale, zero_point)}


@pytest.mark.parametrize(
    ("details", "facts"),
    [
        (tensor(np.uint8, 1 / 128, 128), {"input.scale": 128.0, "input.mean": [1.0]}),
        (tensor(np.uint8, 1 / 255, 0), {"input.scale": 255.0, "input.mean": [0.0]}),
        (tensor(np.uint8, 1.0, 0), {"input.scale": 1.0, "input.mean": [0.0]}),
        (tensor(np.uint8, 1.0, 128), {"input.scale": 1.0, "input.mean": [128.0]}),
        (tensor(np.int8, 1 / 255, -128), {"input.scale": 255.0, "input.mean": [0.0]}),
        (tensor(np.int8, 1 / 127.5, 0), {"input.scale": 127.5, "input.mean": [128 / 127.5]}),
        (tensor(np.uint8, 0.0187, 114), {}),
        (tensor(np.float32, 0.0, 0), {}),
        (tensor(np.uint8, 0.0, 0), {}),
        (tensor(np.int16, 1 / 255, 0), {}),
    ],
    ids=["signed", "unit", "raw", "raw-signed", "int8-unit", "int8-signed", "imagenet", "float", "no-scale", "int16"],
)
def test_the_range_of_integers_tells_what_pixels_stand_for(details: dict[str, Any], facts: dict[str, Any]) -> None:
    found = {fact.key: fact.value for fact in pixel_range(details)}
    assert found.pop("input.std", [1.0]) == [1.0]
    assert found.keys() == facts.keys()
    for key, value in facts.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9)


def test_such_a_pixel_is_the_integer_of_the_graph() -> None:
    step, zero_point = 1 / 128, 128
    found = {fact.key: fact.value for fact in pixel_range(tensor(np.uint8, step, zero_point))}
    pixels = np.arange(256)
    real = (pixels / found["input.scale"] - found["input.mean"][0]) / found["input.std"][0]
    np.testing.assert_allclose(real / step + zero_point, pixels, atol=1e-9)


def attach(data: bytes, **files: str) -> bytes:
    """A file with a zip archive behind it."""
    buffer = io.BytesIO(data)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.txt", text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("attached", "count", "names"),
    [
        ({}, 2, None),
        ({"labels.txt": "cat\n\ndog \n"}, 2, ["cat", "dog"]),
        ({"labels.txt": "cat\ndog\n"}, 3, None),
        ({"labels.txt": "cat\ndog"}, None, None),
        ({"a.txt": "cat\ndog", "notes.txt": "mine"}, 2, ["cat", "dog"]),
        ({"a.txt": "cat\ndog", "b.txt": "Katze\nHund"}, 2, None),
        ({"labels.txt": "crane\ncrane"}, 2, ["crane (0)", "crane (1)"]),
    ],
    ids=["none", "fitting", "too-few", "several-outputs", "beside-notes", "two-lists", "doubles"],
)
def test_labels_behind_the_graph(attached: dict[str, str], count: int | None, names: list[str] | None) -> None:
    found = find_labels(attached, num_outputs=count)
    assert [fact.value for fact in found] == ([] if names is None else [names])


def test_what_hangs_at_a_graph_is_read() -> None:
    assert read_attached(b"TFL3") == {}
    assert read_attached(attach(b"a graph", labels="cat")) == {"labels.txt": "cat"}
    assert find_metadata({"temp_meta.txt": "no json", "x_ultralytics_metadata.json": "[]"}) is None


@pytest.mark.assets
def test_a_quantised_classifier_needs_only_its_fit(assets: Path) -> None:
    path = assets / "models" / "classification" / "mobilenet_v1_0.25_128_quant.tflite"
    draft = draft_tflite(read_weights(str(path), weights_format="tflite"), given={})
    assert [gap.key for gap in draft.missing] == ["input.fit"]
    found = {fact.key: fact.value for fact in draft.found}
    assert (found["input.scale"], found["input.mean"]) == (128.0, [1.0])
    assert found["classes"][:2] == ["background", "tench, Tinca tinca"]
    assert len(set(found["classes"])) == 1001


def test_a_float_graph_leaves_its_pixels_to_be_said() -> None:
    assert draft_input(GraphInput(name="x", shape=(1, 8, 8, 3)), given={}).missing != ()
