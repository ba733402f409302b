from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from inference_core.errors import ModelError, ShapeError
from inference_core.prepare import plan_fit
from inference_core.records import Detection, Placement
from inference_core.tasks.build import build_task
from inference_core.tasks.detection import DetectionTask
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.specs import model_spec

each_library = pytest.mark.parametrize("library", LIBRARIES)


def task_of(**output: Any) -> DetectionTask:
    """Reads rows of x, y, width, height, a score for each of three classes; in input pixels."""
    output = {"decoder": {"name": "yolov8", "layout": "BNC"}, **output}
    task = build_task(model_spec({"task": "detection", "output": output}))
    assert isinstance(task, DetectionTask)
    return task


def row(box: tuple[float, float, float, float], scores: tuple[float, float, float]) -> list[float]:
    x_min, y_min, x_max, y_max = box
    return [(x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min, y_max - y_min, *scores]


def raw_of(task: DetectionTask, rows: Any, *, library: str = "numpy", tile_hw: tuple[int, int] = (8, 8)) -> Any:
    reduced = task.reduce({"rows": array_of(rows, library=library)}, tile_hw=tile_hw)
    return {name: numpy_of(array) for name, array in reduced.items()}


def answer(task: DetectionTask, rows: Any, placement: Placement, *, library: str = "numpy") -> Detection:
    result = task.finish(raw_of(task, rows, library=library, tile_hw=placement.tile_hw), placement)
    assert isinstance(result, Detection)
    return result


@each_library
@pytest.mark.parametrize(
    ("fit", "image_hw", "expected"),
    [
        pytest.param({"fit": "stretch", "size_hw": (8, 8)}, (16, 80), [20, 4, 60, 12], id="stretch"),
        pytest.param({"fit": "letterbox", "size_hw": (8, 8)}, (40, 80), [20, 0, 60, 40], id="letterbox-clips"),
        pytest.param(
            {"fit": "shortest_side_crop", "size_hw": (8, 8), "resize_px": 16}, (16, 32), [14, 6, 18, 10], id="crop"
        ),
        pytest.param({"fit": "native", "multiple_px": 8}, (6, 5), [2, 2, 5, 6], id="native-clips"),
    ],
)
def test_boxes_come_back_in_the_pixels_of_the_image(
    library: str, fit: dict[str, Any], image_hw: tuple[int, int], expected: list[float]
) -> None:
    placement = plan_fit(image_hw, **fit)
    result = answer(task_of(), [[row((2, 2, 6, 6), (0.1, 0.9, 0.2))]], placement, library=library)
    np.testing.assert_allclose(result.boxes_xyxy, [expected], atol=1e-5)
    assert (result.class_ids.tolist(), result.labels) == ([1], ("green",))
    assert result.scores.tolist() == [np.float32(0.9)]


@each_library
def test_raw_output_has_one_size_whatever_is_found(library: str) -> None:
    task = task_of(nms={"max_boxes": 3})
    boxes = [row((k, 0, k + 1, 1), (0.6 + k / 100, 0, 0)) for k in range(5)]
    for rows, count in (([boxes], 3), ([boxes[:1]], 1), (np.zeros((1, 0, 7)), 0)):
        raw = raw_of(task, rows, library=library)
        assert (raw["boxes_xyxy"].shape, raw["scores"].shape, raw["class_ids"].shape) == ((1, 3, 4), (1, 3), (1, 3))
        assert (raw["num_boxes"].tolist(), raw["num_boxes"].dtype) == ([count], np.int32)
        assert (raw["boxes_xyxy"].dtype, raw["class_ids"].dtype) == (np.float32, np.int32)
        assert raw["finite"].tolist() == [True]


def test_threshold_and_suppression_are_those_of_the_spec() -> None:
    placement = plan_fit((8, 8), fit="stretch", size_hw=(8, 8))
    rows = [[row((0, 0, 4, 4), (0.9, 0, 0)), row((0, 0, 4, 3), (0.8, 0, 0)), row((5, 5, 8, 8), (0.3, 0, 0))]]
    assert len(answer(task_of(), rows, placement).scores) == 1
    assert len(answer(task_of(threshold=0.2), rows, placement).scores) == 2
    assert len(answer(task_of(nms={"iou_threshold": 0.8}), rows, placement).scores) == 2
    assert len(answer(task_of(nms={"method": "none"}), rows, placement).scores) == 2


def test_a_box_outside_the_image_is_none() -> None:
    placement = plan_fit((4, 8), fit="letterbox", size_hw=(8, 8))  # two rows of padding above and below
    assert len(answer(task_of(), [[row((0, 0, 8, 2), (0.9, 0, 0))]], placement).scores) == 0


def test_boxes_may_reach_beyond_the_image() -> None:
    placement = plan_fit((4, 8), fit="letterbox", size_hw=(8, 8))
    rows = [[row((0, 1, 9, 4), (0.9, 0, 0)), row((0, 0, 8, 2), (0.8, 0, 0))]]
    assert answer(task_of(), rows, placement).boxes_xyxy.tolist() == [[0, 0, 8, 2]]
    assert answer(task_of(clip_boxes=False), rows, placement).boxes_xyxy.tolist() == [[0, -1, 9, 2]]


def test_nothing_found_has_no_score() -> None:
    task = task_of()
    placement = plan_fit((8, 8), fit="stretch", size_hw=(8, 8))
    nothing = task.to_row(answer(task, np.zeros((1, 4, 7)), placement))
    assert nothing == {"num_objects": 0, "score": None, "objects": []}
    found = task.to_row(answer(task, [[row((1, 2, 3, 4), (0, 0, 0.75))]], placement))
    table = pa.Table.from_pylist([nothing, found], schema=pa.schema(task.result_fields))
    assert table["objects"].to_pylist()[1] == [
        {"class_id": 2, "label": "blue", "score": 0.75, "x_min": 1, "y_min": 2, "x_max": 3, "y_max": 4}
    ]
    assert table["score"].to_pylist() == [None, 0.75]


@each_library
@pytest.mark.parametrize(
    ("rows", "finite"),
    [
        pytest.param([[0, 0, 1, 1, np.nan, 0, 0]], False, id="score"),
        pytest.param([[0, 0, np.inf, 1, 0.9, 0, 0]], False, id="box"),
        pytest.param([[0, 0, np.inf, 1, 0.1, 0, 0]], True, id="box-under-the-threshold"),
    ],
)
def test_outputs_that_are_no_numbers_are_told(library: str, rows: list[list[float]], finite: bool) -> None:
    assert raw_of(task_of(), [rows], library=library)["finite"].tolist() == [finite]


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ModelError, match=r"output must be \(B, N, 7\) with decoder yolov8"):
        raw_of(task_of(), np.zeros((1, 2, 8)))


def test_tiles_are_joined() -> None:
    placement = plan_fit((8, 14), fit="tile", size_hw=(8, 8), overlap_px=2)
    assert placement.tile_origins_yx == ((0, 0), (0, 6))
    rows = [[row((6, 2, 8, 4), (0.9, 0, 0)), row((1, 1, 3, 3), (0.6, 0, 0))], [row((0, 2, 4, 4), (0.8, 0, 0)), [0] * 7]]
    result = answer(task_of(), rows, placement)
    assert result.boxes_xyxy.tolist() == [[6, 2, 10, 4], [1, 1, 3, 3]]
    assert result.scores.tolist() == [np.float32(0.9), np.float32(0.6)]


def test_a_record_of_different_lengths_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"boxes_xyxy must be \(N, 4\) with N scores"):
        Detection(
            boxes_xyxy=np.zeros((2, 4), np.float32),
            scores=np.zeros(1, np.float32),
            class_ids=np.zeros(2, np.int32),
            labels=("a", "b"),
        )
