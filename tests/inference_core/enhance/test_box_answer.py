from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.enhance.box_answer import BoxAnswer
from inference_core.enhance.forwards import Seen
from inference_core.tasks.build import build_task
from inference_core.tasks.candidates import NO_SCORE, Candidates
from tests.arrays import LIBRARIES, array_of
from tests.specs import model_spec


def spec_of(merge: str, **output: Any) -> Any:
    decoder = {"decoder": {"name": "torchvision"}, "threshold": 0.3, **output}
    return model_spec({"task": "detection", "output": decoder, "tta": {"views": ["hflip", "vflip"], "merge": merge}})


def seen(step: int, *tiles: list[Any], library: str = "numpy") -> Seen:
    """Boxes of tiles, each (x_min, score, class_id), 10 pixels wide and high."""
    most = max(1, *map(len, tiles))
    boxes, scores = np.zeros((len(tiles), most, 4), np.float32), np.full((len(tiles), most), NO_SCORE, np.float32)
    class_ids = np.zeros((len(tiles), most), np.int32)
    for tile, rows in enumerate(tiles):
        for slot, (x_min, score, class_id) in enumerate(rows):
            boxes[tile, slot], scores[tile, slot] = [x_min, 0, x_min + 10, 10], score
            class_ids[tile, slot] = class_id
    ids = array_of(class_ids, library=library).int() if library == "torch" else class_ids
    candidates = Candidates(
        boxes_xyxy=array_of(boxes, library=library), scores=array_of(scores, library=library), class_ids=ids
    )
    return Seen(step=step, weight=1.0, answer=candidates)


@pytest.mark.parametrize("library", LIBRARIES)
def test_fused_boxes_and_what_each_view_changed(library: str) -> None:
    forwards = [
        seen(0, [(0, 0.9, 0)], [(50, 0.6, 1)], library=library),
        seen(1, [(0, 0.9, 0)], [], library=library),
        seen(2, [(0, 0.9, 0), (80, 0.95, 1)], [], library=library),
    ]
    merged = BoxAnswer(spec_of("wbf")).merge(forwards)
    np.testing.assert_allclose(merged["scores"], [[0.9, 0.95 / 3], [0.2, NO_SCORE]], atol=1e-6)
    # Of the second tile, the box falls to 0.3 with one more view, which is enough, and to 0.2 with two, which is not.
    np.testing.assert_allclose(merged["gain_changed"], [[0, 0.5], [0, 1]])
    np.testing.assert_allclose(merged["gain_shift"], [[0, 0], [0.3, 0.3]], atol=1e-6)
    task = build_task(spec_of("wbf"))
    reduced = task.reduce(merged, tile_hw=(100, 100))
    assert reduced["num_boxes"].tolist() == [2, 0]


def test_with_nms_the_boxes_of_all_compete_once() -> None:
    forwards = [seen(0, [(0, 0.5, 0)]), seen(1, [(1, 0.8, 0)]), seen(2, [(40, 0.4, 0), (0, 0.7, 1)])]
    merged = BoxAnswer(spec_of("nms")).merge(forwards)
    assert merged["scores"].shape == (1, 4)
    reduced = build_task(spec_of("nms")).reduce(merged, tile_hw=(100, 100))
    np.testing.assert_allclose(reduced["scores"][0, :3], [0.8, 0.7, 0.4])
    assert reduced["num_boxes"].tolist() == [3]


@pytest.mark.parametrize("merge", ["wbf", "nms"])
def test_a_tile_that_is_not_finite_in_one_view_is_not_finite(merge: str) -> None:
    forwards = [seen(0, [(0, 0.9, 0)], [(0, 0.9, 0)]), seen(1, [(0, np.nan, 0)], [(0, 0.9, 0)])]
    merged = BoxAnswer(spec_of(merge)).merge(forwards)
    reduced = build_task(spec_of(merge)).reduce(merged, tile_hw=(100, 100))
    assert reduced["finite"].tolist() == [False, True]


def test_no_boxes_at_all() -> None:
    merged = BoxAnswer(spec_of("wbf")).merge([seen(0, []), seen(1, [])])
    assert merged["boxes_xyxy"].shape == (1, 0, 4)
    assert merged["gain_changed"].tolist() == [[0.0]]
    assert build_task(spec_of("wbf")).reduce(merged, tile_hw=(8, 8))["num_boxes"].tolist() == [0]
