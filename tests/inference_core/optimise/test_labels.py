from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference_core.errors import ConfigError
from inference_core.optimise.labels import build_scorer, names_of, of_sample, read_classes, read_flags, read_mask
from tests.specs import model_spec

CLASSES = ["red", "green", "blue"]


def table(text: str, folder: Path) -> str:
    path = folder / "labels.csv"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([{"file": "a.png", "index": "2"}], {"a.png": 2}, id="id"),
        pytest.param([{"image_id": "a.png", "class": "green"}], {"a.png": 1}, id="name"),
        pytest.param([{"path": "x/a.png", "index": "0", "name": "else"}], {"x/a.png": 0}, id="id-before-name"),
    ],
)
def test_classes_by_image(rows: Any, expected: dict[str, int]) -> None:
    assert read_classes(rows, CLASSES) == expected


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([{"file": "a", "index": "3"}], "--labels: must hold class ids from 0 to 2, got '3'", id="id"),
        pytest.param([{"file": "a", "index": "-1"}], "must hold class ids from 0 to 2, got '-1'", id="negative"),
        pytest.param([{"file": "a", "class": "pink"}], "must hold classes of the package, got pink", id="name"),
        pytest.param([{"file": "a"}], "must have a column class_id or index or", id="no-class"),
        pytest.param([{"index": "1"}], "must have a column image_id or file", id="no-image"),
    ],
)
def test_wrong_tables_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_classes(rows, CLASSES)


def test_flags() -> None:
    rows = [{"file": "a", "red": "1", "green": "0", "blue": "1"}, {"file": "b", "red": "0", "green": "0", "blue": ""}]
    assert read_flags(rows, CLASSES) == {"a": frozenset({0, 2}), "b": frozenset()}
    with pytest.raises(ConfigError, match="must have a column of 0 and 1 for each class, got none for blue"):
        read_flags([{"file": "a", "red": "1", "green": "0"}], CLASSES)


def test_an_image_is_found_by_every_end_of_its_path() -> None:
    assert list(names_of("s3://b/c.png"))[-4:] == ["b/c.png", "b/c", "c.png", "c"]
    assert of_sample({"c": 1, "b/c.png": 2, "other": 3}, ["s3://a/b/c.png"], "labels") == {"s3://a/b/c.png": 2}
    with pytest.raises(
        ConfigError, match=r"must name images of the sample, got labels with x for images such as a\.png"
    ):
        of_sample({"x": 1}, ["a.png"], "labels")


def test_classification_is_scored_by_a_table(tmp_path: Path) -> None:
    scorer = build_scorer(model_spec(), table("file,index\na.png,1\n", tmp_path), image_ids=["folder/a.png"])
    assert scorer([]) == {"top-1": 0.0, "top-5": 0.0}


@pytest.mark.parametrize("text", ["", "file,index\n"], ids=["empty", "no-rows"])
def test_an_empty_table_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="must be a CSV file with a header and rows"):
        build_scorer(model_spec(), table(text, tmp_path), image_ids=["a.png"])


def test_an_absent_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--labels: must be a CSV file in UTF-8, got"):
        build_scorer(model_spec(), str(tmp_path / "none.csv"), image_ids=["a.png"])


def test_a_task_without_scores_is_refused(tmp_path: Path) -> None:
    spec = model_spec({"task": "embedding", "classes": None})
    with pytest.raises(ConfigError, match=r"must go with task classification, .* got embedding"):
        build_scorer(spec, str(tmp_path), image_ids=["a.png"])


def test_masks_are_class_ids(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.uint8([[0, 1], [2, 255]])).save(path)
    assert read_mask(str(path)).tolist() == [[0, 1], [2, 255]]
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(path)
    with pytest.raises(ConfigError, match="must hold masks with one channel of class ids"):
        read_mask(str(path))
    path.write_bytes(b"no image")
    with pytest.raises(ConfigError, match="--labels: must hold masks, got"):
        read_mask(str(path))
