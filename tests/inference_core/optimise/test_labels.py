from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference_core.errors import ConfigError
from inference_core.optimise.labels import build_scorer, of_sample
from tests.specs import model_spec


def table(text: str, folder: Path) -> str:
    path = folder / "labels.csv"
    path.write_text(text)
    return str(path)


def test_an_image_is_found_by_the_longest_end_of_its_path() -> None:
    assert of_sample({"c": 1, "b/c.png": 2, "other": 3}, ["s3://a/b/c.png"], "labels") == {"s3://a/b/c.png": 2}
    with pytest.raises(ConfigError, match=r"must name images of the run, got labels with x for images such as a\.png"):
        of_sample({"x": 1}, ["a.png"], "labels")


def test_classification_is_scored_by_a_table(tmp_path: Path) -> None:
    scorer = build_scorer(model_spec(), table("file,index\na.png,1\n", tmp_path), image_ids=["folder/a.png"])
    assert scorer([]) == {"top-1": 0.0, "top-5": 0.0}


def test_labels_are_scored_by_a_table(tmp_path: Path) -> None:
    spec = model_spec({"task": "multilabel", "output": {"activation": "sigmoid"}})
    labels = table("file,red,green,blue\na.png,1,0,1\n", tmp_path)
    assert build_scorer(spec, labels, image_ids=["a.png"])([]) == {"F1": 1.0}


def test_masks_are_scored_by_a_folder(tmp_path: Path) -> None:
    Image.fromarray(np.uint8([[0, 1], [2, 255]])).save(tmp_path / "a.png")
    scorer = build_scorer(model_spec({"task": "segmentation"}), str(tmp_path), image_ids=["a.jpg"])
    assert scorer([]) == {"mIoU": 1.0}


def test_an_absent_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--labels: must be an existing file, got"):
        build_scorer(model_spec(), str(tmp_path / "none.csv"), image_ids=["a.png"])


def test_a_task_without_scores_is_refused(tmp_path: Path) -> None:
    spec = model_spec({"task": "embedding", "classes": None})
    with pytest.raises(ConfigError, match=r"must go with task classification, .* got embedding"):
        build_scorer(spec, str(tmp_path), image_ids=["a.png"])
