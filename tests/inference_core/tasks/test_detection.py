from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from inference_core.errors import ModelError, ShapeError
from inference_core.prepare import plan_fit
from inference_core.records import Placement
from inference_core.results import Detection
from inference_core.run_length import decode_mask
from inference_core.tasks.build import build_task
from inference_core.tasks.detection import MASK_FIELDS, OBJECT_FIELDS, DetectionTask
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


@each_library
@pytest.mark.parametrize("method", ["hard", "soft", "none"])
def test_classes_may_have_thresholds_of_their_own(library: str, method: str) -> None:
    placement = plan_fit((8, 8), fit="stretch", size_hw=(8, 8))
    rows = [[row((0, 0, 2, 2), (0.6, 0, 0)), row((3, 0, 5, 2), (0, 0.6, 0)), row((6, 0, 8, 2), (0, 0, 0.3))]]
    for thresholds, labels in (
        ({}, ("red", "green")),
        ({"red": 0.7}, ("green",)),
        ({"red": 0.7, "blue": 0.25}, ("green", "blue")),
    ):
        task = task_of(nms={"method": method}, thresholds=thresholds)
        assert answer(task, rows, placement, library=library).labels == labels


def test_a_score_that_soft_suppression_lowers_meets_its_class_threshold() -> None:
    placement = plan_fit((8, 8), fit="stretch", size_hw=(8, 8))
    rows = [[row((0, 0, 4, 4), (0.9, 0, 0)), row((0, 0, 4, 3), (0.8, 0, 0)), row((4, 4, 8, 8), (0, 0.45, 0))]]
    nms = {"method": "soft", "sigma": 1.0}  # 0.8 becomes 0.46
    for red, count in ((0.4, 2), (0.5, 1)):
        found = answer(task_of(nms=nms, threshold=0.45, thresholds={"red": red}), rows, placement)
        assert found.labels.count("red") == count
        assert found.labels.count("green") == 1


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


def test_a_row_holds_masks_as_coco_writes_them() -> None:
    decoder = {"name": "detr", "masks": True}
    task = task_of(decoder=decoder, nms={"method": "none"})
    masks = np.full((1, 2, 4, 4), -8, np.float32)
    masks[0, 0, :, 2:] = 8
    outputs = {
        "logits": np.float32([[[9, 0, 0, 0], [0, 0, 0, 9]]]),
        "pred_boxes": np.float32([[[0.75, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]]]),
        "pred_masks": masks,
    }
    raw = {name: np.asarray(array) for name, array in task.reduce(outputs, tile_hw=(8, 8)).items()}
    result = task.finish(raw, plan_fit((8, 16), fit="stretch", size_hw=(8, 8)))
    assert isinstance(result, Detection)
    row_of_it = task.to_row(result)
    assert [list(found) for found in row_of_it["objects"]] == [[field.name for field in (*OBJECT_FIELDS, *MASK_FIELDS)]]
    (found,) = row_of_it["objects"]
    assert (found["mask_area_px"], found["mask"]["size"]) == (64, [8, 16])
    assert decode_mask(found["mask"]["counts"], image_hw=(8, 16)).tolist() == [[False] * 8 + [True] * 8] * 8
    table = pa.Table.from_pylist([row_of_it], schema=pa.schema(task.result_fields))
    assert table["objects"].to_pylist() == [[{**found, "label": "red"}]]


@pytest.mark.parametrize("mask_threshold", [0.2, 0.5, 0.9])
def test_pixels_need_the_mask_threshold(mask_threshold: float) -> None:
    """A ramp of logits from -4 to 4 over 16 pixels of 8 rows: a score of 0.2 is a logit of -1.39."""
    task = task_of(decoder={"name": "detr", "masks": True}, mask_threshold=mask_threshold, mask_px=64)
    ramp = np.broadcast_to((np.arange(16) - 7.5) / 2, (1, 1, 8, 16)).astype(np.float32)
    outputs = {
        "logits": np.float32([[[9, 0, 0, 0]]]),
        "pred_boxes": np.float32([[[0.5, 0.5, 1, 1]]]),
        "pred_masks": ramp,
    }
    raw = {name: np.asarray(array) for name, array in task.reduce(outputs, tile_hw=(8, 16)).items()}
    result = task.finish(raw, plan_fit((8, 16), fit="stretch", size_hw=(8, 16)))
    assert isinstance(result, Detection)
    assert result.masks is not None
    logit = np.log(mask_threshold / (1 - mask_threshold))
    assert result.masks[0].area_px == 8 * np.count_nonzero(ramp[0, 0, 0] > logit)


def test_mask_px_is_the_size_of_the_grid() -> None:
    outputs = {
        "logits": np.float32([[[9, 0, 0, 0]]]),
        "pred_boxes": np.float32([[[0.5, 0.5, 1, 1]]]),
        "pred_masks": np.zeros((1, 1, 8, 8), np.float32),
    }
    for options, size in (({}, 56), ({"mask_px": 28}, 28)):
        task = task_of(decoder={"name": "detr", "masks": True}, **options)
        assert task.reduce(outputs, tile_hw=(8, 8))["masks"].shape == (1, 1, size, size)


def test_a_record_of_different_lengths_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"boxes_xyxy must be \(N, 4\) with N scores, class_ids, labels and masks"):
        Detection(
            boxes_xyxy=np.zeros((2, 4), np.float32),
            scores=np.zeros(1, np.float32),
            class_ids=np.zeros(2, np.int32),
            labels=("a", "b"),
        )
