from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference_core.items import Prediction
from inference_core.records import SourceFacts
from inference_core.results import Classification, Detection, Embedding, MultiLabel, Result, Segmentation, Spread
from serve.answers import Answer, ServedModel
from serve.errors import InvalidRequestError
from serve.oip_outputs import OUTPUTS_OF_TASK, build_outputs, choose_outputs, outputs_of
from serve.oip_tensors import NUMPY_TYPES, GivenOutput
from serve.told_columns import ToldColumn


def model_of(task: str, *columns: ToldColumn, **options: Any) -> ServedModel:
    return ServedModel(
        **{"name": "m", "digest": "d", "version": "v", "task": task, "classes": (), "engine": "e", "spec": {}},
        **{"input_hw": None, "num_channels": 3, "is_ready": True, "options": options, "columns": columns},
    )


def answer(result: Result | None, **row: Any) -> Answer:
    prediction = Prediction(
        source=SourceFacts(image_id="0"),
        status="decode_error" if result is None else "ok",
        error="cut off" if result is None else "",
        result=result,
    )
    row = {"row_id": 0, "status": prediction.status, **row}
    return Answer(prediction=prediction, row=row, model="m", model_digest="d")


def classification(*class_ids: int) -> Classification:
    scores = np.linspace(0.9, 0.1, len(class_ids), dtype=np.float32)
    names = tuple("abc"[index] for index in class_ids)
    return Classification(class_ids=np.array(class_ids, np.int32), scores=scores, labels=names, entropy=0.5)


def detection(count: int) -> Detection:
    return Detection(
        boxes_xyxy=np.arange(4 * count, dtype=np.float32).reshape(count, 4),
        scores=np.linspace(0.9, 0.5, count, dtype=np.float32),
        class_ids=np.ones(count, np.int32),
        labels=("b",) * count,
    )


def segmentation(image_hw: tuple[int, int]) -> Segmentation:
    mask = np.random.default_rng(0).integers(0, 3, image_hw).astype(np.uint8)
    return Segmentation(
        mask=mask,
        scores=np.full(image_hw, 200, np.uint8),
        class_pixels=np.bincount(mask.ravel(), minlength=3),
        class_scores=np.full(3, 0.5, np.float32),
        labels=("a", "b", "c"),
    )


def outputs(
    task: str, *results: Result | None, names: list[str] | None = None, is_text: bool = False
) -> dict[str, Any]:
    chosen = choose_outputs(names or [], model=model_of(task), is_text=is_text)
    built = build_outputs(chosen, [answer(result) for result in results], is_asked=bool(names))
    for output, made in zip(chosen, built, strict=True):
        check_made(output.shape, made)
    return {made.name: made for made in built}


def check_made(shape: tuple[int, ...], made: GivenOutput) -> None:
    """What is given keeps what the metadata promises."""
    if made.name != "mask_png":
        assert len(made.shape) == len(shape)
        assert all(wanted in (-1, size) for size, wanted in zip(made.shape, shape, strict=True))
    if isinstance(made.values, list):
        assert made.datatype == "BYTES"
        assert len(made.values) == np.prod(made.shape)
    else:
        assert made.values.dtype == NUMPY_TYPES[made.datatype]
        assert made.values.shape == made.shape
        assert made.values.flags.c_contiguous


def test_classes_of_one_image() -> None:
    found = outputs("classification", classification(2, 0))
    assert found["class_id"].values.tolist() == [[2, 0]]
    assert found["score"].values.tolist() == [[pytest.approx(0.9), pytest.approx(0.1)]]
    assert found["label"].values == [b"c", b"a"]
    assert found["entropy"].values.tolist() == [0.5]
    assert found["status"].values == [b"ok"]
    assert json.loads(found["row"].values[0]) == {"status": "ok"}


def test_an_image_without_an_answer_is_filled_up_beside_others() -> None:
    found = outputs("classification", None, classification(1, 2))
    assert found["class_id"].values.tolist() == [[-1, -1], [1, 2]]
    assert found["score"].values[0].tolist() == [0, 0]
    assert found["label"].values == [b"", b"", b"b", b"c"]
    assert found["status"].values == [b"decode_error", b"ok"]
    assert found["error"].values == [b"cut off", b""]


@pytest.mark.parametrize("task", list(OUTPUTS_OF_TASK))
def test_images_without_any_answer_have_outputs_all_the_same(task: str) -> None:
    found = outputs(task, None, None)
    assert all(made.shape[0] == 2 for made in found.values())
    assert found["status"].values == [b"decode_error"] * 2


def test_boxes_are_filled_up_to_the_longest() -> None:
    found = outputs("detection", detection(1), detection(0), detection(3))
    assert found["num"].values.tolist() == [1, 0, 3]
    assert found["boxes_xyxy"].shape == (3, 3, 4)
    assert found["boxes_xyxy"].values[0].tolist() == [[0, 1, 2, 3], [0] * 4, [0] * 4]
    assert found["class_id"].values.tolist() == [[1, -1, -1], [-1, -1, -1], [1, 1, 1]]
    np.testing.assert_array_equal(found["boxes_xyxy"].values[2], detection(3).boxes_xyxy)


def test_no_boxes_at_all() -> None:
    found = outputs("detection", detection(0))
    assert found["boxes_xyxy"].shape == (1, 0, 4)
    assert found["label"].values == []


def test_labels_that_are_shown_and_the_best_ones() -> None:
    result = MultiLabel(
        class_ids=np.array([1], np.int32),
        scores=np.array([0.9], np.float32),
        labels=("b",),
        top_class_ids=np.array([1, 0], np.int32),
        top_scores=np.array([0.9, 0.2], np.float32),
        top_labels=("b", "a"),
    )
    found = outputs("multilabel", result)
    assert found["num"].values.tolist() == [1]
    assert found["class_id"].values.tolist() == [[1]]
    assert found["top_class_id"].values.tolist() == [[1, 0]]
    assert found["top_label"].values == [b"b", b"a"]


def test_vectors() -> None:
    found = outputs("embedding", Embedding(vector=np.array([0.6, 0.8], np.float32), norm=2.0))
    np.testing.assert_array_equal(found["embedding"].values, np.array([[0.6, 0.8]], np.float32))
    assert found["norm"].values.tolist() == [2.0]


def test_masks_of_one_size_are_one_tensor_and_a_failed_one_is_blank() -> None:
    result = segmentation((4, 5))
    found = outputs("segmentation", result, None, names=["mask", "score_map", "class_pixels"])
    np.testing.assert_array_equal(found["mask"].values[0], result.mask)
    assert not found["mask"].values[1].any()
    assert found["score_map"].values[0].tolist() == result.scores.tolist()
    assert found["class_pixels"].values[0].sum() == 20


def test_a_lone_mask_is_not_copied() -> None:
    result = segmentation((4, 5))
    found = outputs("segmentation", result)
    assert np.shares_memory(found["mask"].values, result.mask)


@pytest.mark.parametrize(
    ("sizes", "is_text"), [([(4, 5), (6, 7)], False), ([(4, 5)], True)], ids=["several sizes", "text"]
)
def test_masks_that_no_tensor_holds_are_pngs(sizes: list[tuple[int, int]], is_text: bool) -> None:
    results = [segmentation(size) for size in sizes]
    found = outputs("segmentation", *results, None, is_text=is_text)
    assert "mask" not in found
    *pictures, blank = found["mask_png"].values
    for result, picture in zip(results, pictures, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture))), result.mask)
    assert blank == b""


def test_masks_of_several_sizes_as_one_tensor_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="of one size for output mask, got 4x5, 6x7; ask for mask_png"):
        outputs("segmentation", segmentation((4, 5)), segmentation((6, 7)), names=["mask"])


def test_outputs_come_once_and_in_the_order_asked() -> None:
    assert list(outputs("classification", classification(0), names=["status", "score", "status"])) == [
        "status",
        "score",
    ]


@pytest.mark.parametrize("task", list(OUTPUTS_OF_TASK))
def test_every_output_of_a_task_can_be_asked_for(task: str) -> None:
    names = [output.name for output in outputs_of(model_of(task))]
    assert len(set(names)) == len(names)
    assert list(outputs(task, None, names=names)) == names


def test_an_unknown_output_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequestError, match="among class_id, score, label, entropy, status, error, row, got 'x'"):
        choose_outputs(["x"], model=model_of("classification"), is_text=False)


COLUMNS = (
    ToldColumn(name="margin", kind="number"),
    ToldColumn(name="num_components", kind="whole"),
    ToldColumn(name="verdict", kind="text"),
    ToldColumn(name="prediction_set", kind="wholes"),
    ToldColumn(name="reasons", kind="texts"),
    ToldColumn(name="gains", kind="nested"),
)
TOLD = {
    "margin": 0.25,
    "num_components": 7,
    "verdict": "review",
    "prediction_set": [2, 0],
    "reasons": ["score below 0.5"],
    "gains": [{"name": "hflip", "changed_frac": 0.0, "score_shift": 0.5}],
}


def declared(*answers: Answer, names: list[str] | None = None) -> dict[str, Any]:
    chosen = choose_outputs(names or [], model=model_of("classification", *COLUMNS), is_text=False)
    built = build_outputs(chosen, answers, is_asked=bool(names))
    for output, made in zip(chosen, built, strict=True):
        check_made(output.shape, made)
    return {made.name: made for made in built}


def test_what_a_package_declares_is_given_by_the_names_of_its_columns() -> None:
    given = declared(answer(classification(0), **TOLD))
    assert {name: given[name].values.tolist() for name in ("margin", "num_components", "prediction_set")} == {
        "margin": [0.25],
        "num_components": [7],
        "prediction_set": [[2, 0]],
    }
    assert (given["verdict"].values, given["reasons"].values) == ([b"review"], [b"score below 0.5"])
    assert "gains" not in given  # in the row; by itself on request
    (gains,) = declared(answer(classification(0), **TOLD), names=["gains"]).values()
    assert json.loads(gains.values[0]) == TOLD["gains"]


def test_what_an_image_does_not_have_is_filled_up() -> None:
    other = answer(classification(1), **TOLD | {"prediction_set": [], "reasons": [], "margin": None})
    names = [column.name for column in COLUMNS]
    given = declared(answer(classification(0), **TOLD), other, answer(None), names=names)
    assert list(given) == names
    np.testing.assert_array_equal(given["margin"].values, np.float32([0.25, np.nan, np.nan]))
    assert given["num_components"].values.tolist() == [7, 7, 0]
    assert given["verdict"].values == [b"review", b"review", b""]
    assert given["prediction_set"].values.tolist() == [[2, 0], [-1, -1], [-1, -1]]
    assert given["reasons"].values == [b"score below 0.5", b"", b""]
    assert given["gains"].values[2] == b"null"


@pytest.mark.parametrize(
    ("task", "options", "name"),
    [
        ("classification", {}, "verdict"),
        ("classification", {}, "uncertainty_map"),
        ("segmentation", {}, "uncertainty_map"),
        ("segmentation", {}, "prediction_set"),
    ],
)
def test_what_a_package_does_not_declare_is_no_output(task: str, options: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"outputs must be among .*, got '{name}'; correct the name"):
        choose_outputs([name], model=model_of(task, **options), is_text=False)


def test_uncertainties_of_pixels_are_a_plane_on_request() -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    model = model_of("segmentation", ToldColumn(name="uncertainty", kind="number"), uncertainty={"default": False})
    unsure = replace(segmentation((4, 5)), spread=Spread(pixels=pixels))
    assert "uncertainty_map" not in [output.name for output in choose_outputs([], model=model, is_text=False)]
    chosen = choose_outputs(["uncertainty_map", "uncertainty"], model=model, is_text=False)
    plane, mean = build_outputs(chosen, [answer(unsure, uncertainty=0.5), answer(None)], is_asked=True)
    np.testing.assert_array_equal(plane.values, np.stack([pixels, np.zeros_like(pixels)]))  # type: ignore[arg-type]
    np.testing.assert_array_equal(mean.values, np.float32([0.5, np.nan]))  # type: ignore[arg-type]
    other = replace(segmentation((6, 7)), spread=Spread(pixels=np.zeros((6, 7), np.uint8)))
    with pytest.raises(InvalidRequestError, match="for output uncertainty_map, got 4x5, 6x7; send images of one size"):
        build_outputs(chosen, [answer(unsure), answer(other)], is_asked=True)
