from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference_core.errors import ModelError
from inference_core.tasks.class_ids import is_class_ids, read_class_ids
from inference_core.tasks.segmentation import SegmentationTask
from tests.specs import model_spec

IDS = np.array([[[0, 1], [2, 0]]], np.int64)
SEGMENTATION = {"task": "segmentation", "weights": "a.tflite", "format": "tflite"}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(IDS, True, id="bhw"),
        pytest.param(IDS[:, None], True, id="b1hw"),
        pytest.param(IDS[..., None], True, id="bhw1"),
        pytest.param(IDS.astype(np.float32), False, id="scores"),
        pytest.param(np.repeat(IDS[:, None], 3, axis=1), False, id="several-planes"),
        pytest.param(IDS[0], False, id="two-axes"),
    ],
)
def test_what_class_ids_are(output: NDArray[Any], expected: bool) -> None:
    assert is_class_ids(output) is expected
    assert is_class_ids(torch.from_numpy(output)) is expected


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("output", [IDS, IDS[:, None], IDS[..., None], IDS.astype(np.int32)], ids=str)
def test_ids_are_read_at_the_size_of_the_input(library: Any, output: NDArray[Any]) -> None:
    same = np.asarray(read_class_ids(library(output), num_classes=3, size_hw=(2, 2)))
    assert same.dtype == np.uint8
    assert same.tolist() == IDS.tolist()
    twice = np.asarray(read_class_ids(library(output), num_classes=3, size_hw=(4, 4)))
    assert twice.tolist() == IDS.repeat(2, axis=1).repeat(2, axis=2).tolist()


@pytest.mark.parametrize("wrong", [-1, 3, 300])
def test_ids_without_a_class_are_refused(wrong: int) -> None:
    with pytest.raises(ModelError, match=r"must give class ids from 0 to 2, got .*correct classes in model\.yaml, or"):
        read_class_ids(np.full((1, 2, 2), wrong), num_classes=3, size_hw=(2, 2))


def test_segmentation_takes_ids_with_full_scores() -> None:
    reduced = SegmentationTask(model_spec(SEGMENTATION)).reduce({"ids": IDS}, tile_hw=(2, 2))
    assert reduced["class_map"].tolist() == IDS.tolist()
    assert reduced["score_map"].tolist() == np.full((1, 2, 2), 255).tolist()
    assert reduced["finite"].tolist() == [True]


def test_two_classes_become_a_foreground() -> None:
    task = SegmentationTask(model_spec({**SEGMENTATION, "classes": ["background", "cell"]}))
    assert task.reduce({"ids": IDS % 2}, tile_hw=(2, 2))["foreground"].tolist() == [[[0, 255], [0, 0]]]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"output": {"resize_from": "scores"}}, id="scores"),
        pytest.param({"input": {"fit": "tile", "size_hw": [8, 8]}}, id="tile"),
    ],
)
def test_ids_cannot_be_blended(options: dict[str, Any]) -> None:
    task = SegmentationTask(model_spec({**SEGMENTATION, **options}))
    with pytest.raises(ModelError, match="need a model that gives scores, got class ids"):
        task.reduce({"ids": IDS}, tile_hw=(2, 2))
