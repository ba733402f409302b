from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from inference_core.errors import ModelError
from inference_core.prepare import plan_fit
from inference_core.records import Placement
from inference_core.results import Segmentation
from inference_core.tasks.build import build_task
from inference_core.tasks.segmentation import SegmentationTask, best_class, read_planes, upsample
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.specs import model_spec

each_library = pytest.mark.parametrize("library", LIBRARIES)
TWO, FOUR = ["background", "cell"], ["background", "a", "b", "c"]
NATIVE = {"fit": "native", "multiple_px": 1}
TILED = {"fit": "tile", "size_hw": [8, 8], "overlap_px": 4}


def task_of(classes: list[str], *, fit: dict[str, Any] | None = None, **options: Any) -> SegmentationTask:
    facts = {
        "task": "segmentation",
        "classes": classes,
        "input": fit or NATIVE,
        "calibration": {"temperature": options.pop("temperature", 1.0)},
        "postprocess": options.pop("postprocess", []),
        "components": options.pop("components", None),
        "output": options,
    }
    task = build_task(model_spec(facts))
    assert isinstance(task, SegmentationTask)
    return task


def reduced(task: SegmentationTask, planes: Any, *, tile_hw: tuple[int, int] | None = None) -> dict[str, NDArray[Any]]:
    raw = task.reduce({"planes": planes}, tile_hw=tile_hw or tuple(planes.shape[-2:]))
    return {name: numpy_of(array) for name, array in raw.items()}


def finished(task: SegmentationTask, raw: dict[str, NDArray[Any]], placement: Placement) -> Segmentation:
    result = task.finish(raw, placement)
    assert isinstance(result, Segmentation)
    return result


def whole(image_hw: tuple[int, int]) -> Placement:
    return plan_fit(image_hw, fit="native", multiple_px=1)


def segmented(task: SegmentationTask, planes: Any) -> Segmentation:
    """The answer for one image of the planes' own size."""
    return finished(task, reduced(task, planes), whole(planes.shape[-2:]))


def random_planes(num_planes: int, *, image_hw: tuple[int, int] = (13, 17), seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 3, (1, num_planes, *image_hw)).astype(np.float32)


@each_library
def test_one_plane_of_sigmoid_equals_two_of_softmax(library: str) -> None:
    plane = random_planes(1)
    both = np.concatenate([np.zeros_like(plane), plane], axis=1)
    one = segmented(task_of(TWO, activation="sigmoid"), array_of(plane, library=library))
    two = segmented(task_of(TWO), array_of(both, library=library))
    assert np.array_equal(one.scores, two.scores)
    assert np.array_equal(one.mask, two.mask)
    assert np.array_equal(one.mask, plane[0, 0] >= 0)


@each_library
def test_the_foreground_score_is_the_softmax_of_the_second_plane(library: str) -> None:
    planes = random_planes(2)
    expected = scipy.special.softmax(planes.astype(np.float64), axis=1)[0, 1] * 255
    result = segmented(task_of(TWO), array_of(planes, library=library))
    assert np.abs(result.scores - expected).max() <= 0.5 + 1e-3


@each_library
@pytest.mark.parametrize(
    ("activation", "expected"),
    [("none", [0.0, 51.0, 255.0]), ("sigmoid", scipy.special.expit([0, 0.2, 1]) * 255)],
    ids=["none", "sigmoid"],
)
def test_of_two_planes_the_second_is_the_foreground(library: str, activation: str, expected: Any) -> None:
    planes = np.zeros((1, 2, 1, 3))
    planes[0, 1, 0] = [0, 0.2, 1]
    result = segmented(task_of(TWO, activation=activation), array_of(planes, library=library))
    np.testing.assert_allclose(result.scores[0], expected, atol=0.5)


@pytest.mark.parametrize("activation", ["sigmoid", "none"])
def test_a_plane_without_a_class_axis(activation: str) -> None:
    plane = np.abs(random_planes(1)) / 20
    task = task_of(TWO, activation=activation)
    assert np.array_equal(segmented(task, plane).mask, segmented(task, plane[:, 0]).mask)


@each_library
def test_temperature_of_two_classes(library: str) -> None:
    planes = random_planes(2)
    hot = segmented(task_of(TWO, temperature=4.0), array_of(planes, library=library))
    cold = segmented(task_of(TWO), array_of(planes / 4, library=library))
    assert np.array_equal(hot.scores, cold.scores)


@pytest.mark.parametrize(
    ("threshold", "scores", "expected"),
    [
        pytest.param(0.5, [0, 127 / 255, 0.5, 128 / 255, 1], [0, 0, 1, 1, 1], id="half"),
        pytest.param(51 / 255, [50 / 255, 51 / 255, 52 / 255], [0, 1, 1], id="on-a-level"),
        pytest.param(0.001, [0, 0.4 / 255, 1 / 255], [0, 0, 1], id="low"),
        pytest.param(0.999, [254 / 255, 1], [0, 1], id="high"),
    ],
)
def test_the_threshold_is_met_to_a_level(threshold: float, scores: list[float], expected: list[int]) -> None:
    planes = np.array(scores, np.float32)[None, None, None]
    result = segmented(task_of(TWO, activation="none", threshold=threshold), planes)
    assert result.mask.tolist() == [expected]


@each_library
@given(planes=arrays(np.float32, (1, 4, 3, 5), elements=st.floats(-20, 20, width=32)))
def test_the_class_of_a_pixel_is_its_best(library: str, planes: NDArray[np.float32]) -> None:
    result = segmented(task_of(FOUR), array_of(planes, library=library))
    scores = scipy.special.softmax(planes.astype(np.float64), axis=1)[0]
    assert np.array_equal(result.mask, planes[0].argmax(axis=0))
    assert np.abs(result.scores - scores.max(axis=0) * 255).max() <= 0.5 + 1e-3


@each_library
@pytest.mark.parametrize("resize_from", ["class_map", "scores"])
def test_equal_scores_give_the_lower_class(library: str, resize_from: str) -> None:
    planes = array_of(np.zeros((1, 4, 2, 2)), library=library)
    result = segmented(task_of(FOUR, resize_from=resize_from), planes)
    assert result.mask.tolist() == [[0, 0], [0, 0]]
    assert result.scores.tolist() == [[64, 64], [64, 64]]


@pytest.mark.parametrize("resize_from", ["class_map", "scores"])
def test_without_scaling_both_ways_to_the_image_are_one(resize_from: str) -> None:
    planes = random_planes(4)
    result = segmented(task_of(FOUR, resize_from=resize_from), planes)
    expected = scipy.special.softmax(planes.astype(np.float64), axis=1)[0]
    assert np.mean(result.mask == expected.argmax(axis=0)) > 0.99  # scores of 1/255 apart are equal in uint8
    assert np.abs(result.scores - expected.max(axis=0) * 255).max() <= 0.5 + 1e-3


def test_scores_scale_smoothly_and_class_maps_in_blocks() -> None:
    """A step of two classes, eight times as large: steep in the class map, between the pixels in the scores."""
    planes = np.zeros((1, 3, 2, 2), np.float32)
    planes[0, 1, :, 0], planes[0, 2, :, 1] = 9, 9
    planes[0, 2, :, 0] = 8.5  # the left class wins narrowly, so the smooth edge lies further left
    placement = plan_fit((16, 16), fit="stretch", size_hw=(2, 2))
    fit = {"fit": "stretch", "size_hw": [2, 2]}
    blocks, smooth = (
        finished(task, reduced(task, planes), placement)
        for task in (task_of(FOUR[:3], fit=fit), task_of(FOUR[:3], fit=fit, resize_from="scores"))
    )
    assert blocks.mask.tolist() == [[1] * 8 + [2] * 8] * 16
    num_left = [row.index(2) for row in smooth.mask.tolist()]
    assert set(num_left) == {num_left[0]}
    assert 4 <= num_left[0] < 8
    assert len(np.unique(smooth.scores)) > 4


def test_a_binary_image_scales_its_score_and_not_its_mask() -> None:
    planes = np.array([[[[-6.0, 2.0]]]], np.float32)
    placement = plan_fit((8, 16), fit="stretch", size_hw=(1, 2))
    task = task_of(TWO, activation="sigmoid", fit={"fit": "stretch", "size_hw": [1, 2]})
    result = finished(task, reduced(task, planes), placement)
    row = result.mask[0].tolist()
    assert row == sorted(row)
    assert row.index(1) > 8  # the blank side is surer than the other
    assert np.all(np.diff(result.scores[0].astype(int)) >= 0)


@each_library
@pytest.mark.parametrize("num_planes", [1, 4])
def test_a_coarse_output_is_scaled_to_the_tile_before_the_activation(library: str, num_planes: int) -> None:
    planes = random_planes(num_planes, image_hw=(4, 5))
    classes = TWO if num_planes == 1 else FOUR
    task = task_of(classes, activation="sigmoid" if num_planes == 1 else "softmax")
    coarse = reduced(task, array_of(planes, library=library), tile_hw=(16, 20))
    fine = torch.nn.functional.interpolate(torch.from_numpy(planes), (16, 20), mode="bilinear", align_corners=False)
    expected = reduced(task, fine)
    assert set(coarse) == set(expected)
    for name in coarse:
        assert np.array_equal(coarse[name], expected[name])


@each_library
def test_upsampling_keeps_the_library(library: str) -> None:
    planes = array_of(random_planes(2, image_hw=(2, 2)), library=library)
    scaled = upsample(planes, size_hw=(4, 4))
    assert type(scaled) is type(planes)
    assert scaled.shape == (1, 2, 4, 4)


@pytest.mark.parametrize("resize_from", ["class_map", "scores"])
@each_library
def test_channels_may_come_last(library: str, resize_from: str) -> None:
    planes = random_planes(4)
    last = array_of(planes.transpose(0, 2, 3, 1), library=library)
    task = task_of(FOUR, layout="BHWC", resize_from=resize_from)
    raw = reduced(task, last, tile_hw=(13, 17))
    expected = reduced(task_of(FOUR, resize_from=resize_from), planes)
    for name in expected:
        np.testing.assert_array_equal(raw[name], expected[name])


def test_a_device_gives_what_numpy_gives(device: str) -> None:
    for classes, num_planes in ((TWO, 2), (FOUR, 4)):
        planes = random_planes(num_planes, image_hw=(64, 64))
        task = task_of(classes)
        expected = reduced(task, planes)
        on_device = task.reduce({"planes": torch.tensor(planes, device=device)}, tile_hw=(64, 64))
        for name, array in expected.items():
            difference = np.abs(on_device[name].cpu().numpy().astype(int) - array.astype(int))
            assert difference.max() <= (name != "class_map")  # a score may round to the next level
            assert (difference > 0).mean() < 0.01


# Tiles


@pytest.mark.parametrize(("classes", "num_planes"), [(TWO, 1), (TWO, 2), (FOUR, 4)], ids=["one", "two", "four"])
@given(height=st.integers(1, 40), width=st.integers(1, 40), overlap=st.integers(0, 4))
def test_tiles_of_a_pixel_wise_model_join_to_the_whole(
    classes: list[str], num_planes: int, height: int, width: int, overlap: int
) -> None:
    activation = "sigmoid" if num_planes == 1 else "softmax"
    planes = random_planes(num_planes, image_hw=(height, width), seed=height * 41 + width)
    placement = plan_fit((height, width), fit="tile", size_hw=(8, 8), overlap_px=overlap)
    canvas = np.zeros((num_planes, *placement.canvas_hw), np.float32)
    canvas[:, :height, :width] = planes[0]
    tiles = np.stack([canvas[:, y : y + 8, x : x + 8] for y, x in placement.tile_origins_yx])
    tiled_task = task_of(classes, activation=activation, fit=TILED | {"overlap_px": overlap})
    tiled = finished(tiled_task, reduced(tiled_task, tiles), placement)
    expected = segmented(task_of(classes, activation=activation, resize_from="scores"), planes)
    assert np.array_equal(tiled.mask, expected.mask)
    assert np.array_equal(tiled.scores, expected.scores)


def test_tiles_that_disagree_are_blended() -> None:
    """Two tiles, one all foreground and one all background: between them the score falls without a step."""
    placement = plan_fit((8, 12), fit="tile", size_hw=(8, 8), overlap_px=4)
    assert placement.tile_origins_yx == ((0, 0), (0, 4))
    task = task_of(TWO, activation="none", fit=TILED)
    planes = np.zeros((2, 1, 8, 8), np.float32)
    planes[0] = 1
    scores = finished(task, reduced(task, planes), placement).scores[0].astype(int)
    assert scores[:4].tolist() == [255] * 4
    assert scores[8:].tolist() == [0] * 4
    assert 0 > np.diff(scores[3:9]).min() > -128
    assert np.all(np.diff(scores) <= 0)


# Measures


@given(
    labels=arrays(np.uint8, (9, 7), elements=st.integers(0, 3)),
    scores=arrays(np.uint8, (9, 7)),
)
def test_measures_equal_naive_ones(labels: NDArray[np.uint8], scores: NDArray[np.uint8]) -> None:
    raw = {"class_map": labels[None], "score_map": scores[None]}
    result = finished(task_of(FOUR), raw, whole((9, 7)))
    assert result.class_pixels.tolist() == [(labels == k).sum() for k in range(4)]
    assert result.class_pixels.sum() == 9 * 7
    assert result.class_pixels.dtype == np.int64
    for class_id in range(4):
        of_class = scores[labels == class_id].astype(np.float64) / 255
        assert result.class_scores[class_id] == pytest.approx(of_class.mean() if of_class.size else 0, abs=1e-6)


@given(scores=arrays(np.uint8, (9, 7)))
def test_the_background_of_two_classes_has_what_is_left(scores: NDArray[np.uint8]) -> None:
    result = finished(task_of(TWO), {"foreground": scores[None]}, whole((9, 7)))
    is_foreground = scores >= 128
    values = scores.astype(np.float64) / 255
    assert result.class_pixels.tolist() == [(~is_foreground).sum(), is_foreground.sum()]
    for class_id, of_class in enumerate((1 - values[~is_foreground], values[is_foreground])):
        assert result.class_scores[class_id] == pytest.approx(of_class.mean() if of_class.size else 0, abs=1e-6)


def test_a_row_tells_the_classes_that_occur() -> None:
    task = task_of(FOUR)
    labels = np.array([[[0, 0, 0, 2]]], np.uint8)
    scores = np.array([[[255, 255, 255, 51]]], np.uint8)
    result = finished(task, {"class_map": labels, "score_map": scores}, whole((1, 4)))
    row = task.to_row(result)
    assert set(row) == {field.name for field in task.result_fields}
    assert row["foreground_frac"] == 0.25
    assert row["score"] == pytest.approx((3 + 0.2) / 4)
    assert row["mask_path"] is None
    assert row["classes"] == [
        {"class_id": 0, "label": "background", "pixels": 3, "frac": 0.75, "score": 1.0},
        {"class_id": 2, "label": "b", "pixels": 1, "frac": 0.25, "score": pytest.approx(0.2)},
    ]


def test_postprocessing_changes_mask_and_measures() -> None:
    planes = np.zeros((1, 1, 8, 8), np.float32)
    planes[0, 0, 1:4, 1:4] = 1
    planes[0, 0, 2, 2] = 0
    planes[0, 0, 6, 6] = 1
    plain = segmented(task_of(TWO, activation="none"), planes)
    clean = segmented(task_of(TWO, activation="none", postprocess=[{"min_area_px": 4}, {"fill_holes": True}]), planes)
    assert plain.class_pixels.tolist() == [64 - 9, 9]
    assert clean.class_pixels.tolist() == [64 - 9, 9]
    assert (clean.mask[2, 2], clean.mask[6, 6]) == (1, 0)
    assert np.array_equal(plain.scores, clean.scores)


def test_steps_of_named_classes_leave_the_others_and_tell_what_they_did() -> None:
    labels = np.array([[[1, 0, 2, 0, 1, 1]]], np.uint8)
    raw = {"class_map": labels, "score_map": np.full_like(labels, 255)}
    task = task_of(FOUR, postprocess=[{"min_area_px": 2, "classes": ["a", "c"]}])
    result = finished(task, raw, whole((1, 6)))
    assert result.mask.tolist() == [[0, 0, 2, 0, 1, 1]]
    row = task.to_row(result)
    assert set(row) == {field.name for field in task.result_fields}
    assert row["postprocess"] == [
        {
            "name": "min_area_px",
            "value": 2,
            "components": 1,
            "pixels": 1,
            "classes": [{"class_id": 1, "label": "a", "components": 1, "pixels": 1}],
        }
    ]


def test_components_are_those_of_the_cleaned_mask() -> None:
    labels = np.array([[[1, 0, 2, 0, 1, 1]]], np.uint8)
    raw = {"class_map": labels, "score_map": np.array([[[255, 255, 51, 255, 102, 204]]], np.uint8)}
    task = task_of(FOUR, postprocess=[{"min_area_px": 2, "classes": ["a"]}], components={"max_count": 1})
    result = finished(task, raw, whole((1, 6)))
    assert result.components is not None
    assert result.components.areas_px.tolist() == [2]
    row = task.to_row(result)
    assert set(row) == {field.name for field in task.result_fields}
    assert row["num_components"] == 2
    assert row["components"] == [
        {
            "class_id": 1,
            "label": "a",
            "area_px": 2,
            "score": pytest.approx(0.6),
            "x_min": 4,
            "y_min": 0,
            "x_max": 6,
            "y_max": 1,
            "centroid_x": 5.0,
            "centroid_y": 0.5,
            "eccentricity": 1.0,
        }
    ]


def test_components_of_named_classes_and_of_none() -> None:
    labels = np.array([[[1, 0, 2, 0, 1, 1]]], np.uint8)
    raw = {"class_map": labels, "score_map": np.full_like(labels, 255)}
    task = task_of(FOUR, components={"classes": ["b", "c"]})
    row = task.to_row(finished(task, raw, whole((1, 6))))
    assert [one["label"] for one in row["components"]] == ["b"]
    empty = task.to_row(finished(task, {**raw, "class_map": np.zeros_like(labels)}, whole((1, 6))))
    assert (empty["num_components"], empty["components"]) == (0, [])


def test_a_package_that_asks_for_nothing_has_no_column_more() -> None:
    names = {field.name for field in task_of(FOUR).result_fields}
    assert names == {"mask_path", "score", "foreground_frac", "classes"}
    assert names | {"postprocess"} == {f.name for f in task_of(FOUR, postprocess=[{"open_px": 3}]).result_fields}


# What is refused


@each_library
@pytest.mark.parametrize(
    ("classes", "options", "value"),
    [
        pytest.param(TWO, {"activation": "sigmoid"}, np.nan, id="nan"),
        pytest.param(TWO, {"activation": "sigmoid"}, np.inf, id="inf-under-sigmoid"),
        pytest.param(TWO, {}, np.inf, id="inf-of-two"),
        pytest.param(FOUR, {}, np.nan, id="nan-of-four"),
        pytest.param(FOUR, {}, np.inf, id="inf-of-four"),
        pytest.param(FOUR, {"resize_from": "scores"}, np.nan, id="nan-in-scores"),
        pytest.param(FOUR, {"resize_from": "scores"}, np.inf, id="inf-in-scores"),
    ],
)
def test_what_is_not_finite_is_told(library: str, classes: list[str], options: dict[str, Any], value: float) -> None:
    planes = np.zeros((2, len(classes), 3, 3))
    planes[0, 1, 2, 2] = value
    raw = reduced(task_of(classes, **options), array_of(planes, library=library))
    assert raw["finite"].tolist() == [False, True]
    assert {array.dtype for name, array in raw.items() if name != "finite"} == {np.dtype(np.uint8)}


@each_library
def test_large_logits_are_finite(library: str) -> None:
    for classes in (TWO, FOUR):
        planes = np.full((1, len(classes), 2, 2), -1e4)
        planes[0, 1] = 1e4
        result = segmented(task_of(classes), array_of(planes, library=library))
        assert result.mask.tolist() == [[1, 1], [1, 1]]
        assert result.scores.tolist() == [[255, 255], [255, 255]]


@pytest.mark.parametrize(
    ("classes", "options", "shape", "message"),
    [
        pytest.param(
            FOUR, {}, (1, 4), r"must give \(B, K, h, w\) scores, got \[1, 4\]; set output.name, or", id="vector"
        ),
        pytest.param(FOUR, {}, (1, 3, 8, 8), "one name for each of the model's 3 outputs .* got 4 names", id="classes"),
        pytest.param(TWO, {}, (1, 3, 8, 8), "one name for each of the model's 3 outputs .* got 2 names", id="binary"),
        pytest.param(FOUR, {}, (1, 8, 8), "one name for each of the model's 1 outputs", id="no-class-axis"),
        pytest.param(
            TWO,
            {},
            (1, 1, 8, 8),
            "output.activation must be sigmoid or none for a model with one output plane, got softmax; correct",
            id="softmax-of-one",
        ),
    ],
)
def test_outputs_that_do_not_fit(
    classes: list[str], options: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        task_of(classes, **options).reduce({"planes": np.zeros(shape, np.float32)}, tile_hw=(8, 8))


def test_planes_of_any_layout() -> None:
    planes = random_planes(4)
    assert np.array_equal(read_planes(planes, layout="BCHW"), planes)
    assert np.array_equal(read_planes(planes.transpose(0, 2, 3, 1), layout="BHWC"), planes)
    assert read_planes(planes[:, 0], layout="BHWC").shape == (1, 1, 13, 17)


def test_the_best_class_takes_one_plane_at_a_time() -> None:
    canvas = np.array([[[9, 1, 5]], [[9, 2, 5]], [[8, 3, 5]]], np.uint8)
    mask, scores = best_class(canvas, whole((1, 3)))
    assert mask.tolist() == [[0, 2, 0]]
    assert scores.tolist() == [[9, 3, 5]]
