from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.items import RawItem
from inference_core.results import Classification, Detection, MultiLabel, Segmentation
from serve.answers import Options
from serve.errors import InvalidRequestError
from serve.model_options import ModelOptions, describe_options, narrow, probability_arrays
from serve.prepared_tiles import blank_item
from tests.specs import model_spec, package_of

YOLOX = {"task": "detection", "output": {"decoder": {"name": "yolox"}, "threshold": 0.3, "thresholds": {"red": 0.2}}}
TWO_CLASSES = {"task": "segmentation", "classes": ["background", "vessel"], "output": {"threshold": 0.4}}
MULTILABEL = {"task": "multilabel", "output": {"activation": "sigmoid", "thresholds": {"red": 0.9}, "top_k": 2}}
EMBEDDING = {"task": "embedding", "classes": None}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, {"top_k": (3, 1, 3), "probabilities": None}),
        (MULTILABEL, {"top_k": (2, 1, 2), "threshold": (0.5, 0, 1), "probabilities": None}),
        (TWO_CLASSES, {"threshold": (0.4, 0, 1), "probabilities": None, "mask": None}),
        ({"task": "segmentation"}, {"probabilities": None, "mask": None}),
        (YOLOX, {"threshold": (0.3, 0.2, 1)}),
        (EMBEDDING, {}),
    ],
    ids=["classification", "multilabel", "two classes", "more classes", "detection", "embedding"],
)
def test_tells_what_means_something_for_a_model(facts: dict[str, Any], expected: dict[str, Any]) -> None:
    found = describe_options(model_spec(facts))
    numbers = {
        name: (option["default"], option["minimum"], option["maximum"]) if "minimum" in option else None
        for name, option in found.items()
    }
    assert numbers == expected


@pytest.mark.parametrize(
    ("facts", "options", "message"),
    [
        ({}, {"top_k": 4}, "top_k must be from 1 to 3 for this model, got 4"),
        ({}, {"top_k": 0}, "top_k must be from 1 to 3"),
        (
            {},
            {"threshold": 0.5},
            "threshold must be absent for a model of task classification, .*: top_k, prob",
        ),
        ({}, {"with_mask": True}, "^mask must be absent"),
        (YOLOX, {"threshold": 0.1}, "threshold must be from 0.2 to 1"),
        (TWO_CLASSES, {"threshold": float("nan")}, "threshold must be from 0 to 1 for this model, got nan"),
        (TWO_CLASSES, {"top_k": 1}, "top_k must be absent"),
        (EMBEDDING, {"with_probabilities": True}, "^probabilities must be absent .* options are: none"),
    ],
)
def test_refuses_what_the_model_has_not(facts: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        ModelOptions(package_of(b"", facts)).check(Options(**options))


@pytest.mark.parametrize("facts", [{}, MULTILABEL, TWO_CLASSES, YOLOX, EMBEDDING])
def test_takes_the_default(facts: dict[str, Any]) -> None:
    ModelOptions(package_of(b"", facts)).check(Options())


def raw_item(facts: dict[str, Any], raw: dict[str, Any]) -> RawItem:
    item = blank_item([model_spec(facts).input])
    assert item.prepared is not None
    return RawItem(source=item.source, placement=item.prepared.placement, raw=raw, engine="test")


@pytest.mark.parametrize("threshold", [None, 0.0, 0.25, 0.4, 1.0])
def test_the_threshold_of_two_classes_decides_each_pixel(threshold: float | None) -> None:
    plane = np.arange(64, dtype=np.uint8).reshape(1, 8, 8) * 4
    options = ModelOptions(package_of(b"", TWO_CLASSES))
    prediction = options.finish(raw_item(TWO_CLASSES, {"foreground": plane}), Options(threshold=threshold))
    assert isinstance(prediction.result, Segmentation)
    expected = plane[0] / 255 >= (0.4 if threshold is None else threshold)
    np.testing.assert_array_equal(prediction.result.mask, expected)
    assert prediction.model_digest == package_of(b"", TWO_CLASSES).digest


@pytest.mark.parametrize(("threshold", "class_ids"), [(None, [1]), (0.5, [0, 1]), (0.95, []), (0.0, [0, 1, 2])])
def test_a_threshold_of_labels_replaces_those_of_single_classes_too(
    threshold: float | None, class_ids: list[int]
) -> None:
    raw = {"class_ids": np.array([[0, 1, 2]], np.int32), "scores": np.array([[0.8, 0.7, 0.1]], np.float32)}
    item = raw_item(MULTILABEL, raw)
    prediction = ModelOptions(package_of(b"", MULTILABEL)).finish(item, Options(threshold=threshold, top_k=1))
    result = prediction.result
    assert isinstance(result, MultiLabel)
    assert result.class_ids.tolist() == class_ids
    assert (result.top_class_ids.tolist(), result.top_labels) == ([0], ("red",))
    probabilities = probability_arrays(result, item)
    np.testing.assert_array_equal(probabilities["probabilities"], np.array([0.8, 0.7, 0.1], np.float32))


def test_top_k_keeps_the_best() -> None:
    result = Classification(
        class_ids=np.array([2, 0, 1], np.int32),
        scores=np.array([0.5, 0.3, 0.2], np.float32),
        labels=("blue", "red", "green"),
        entropy=0.9,
    )
    narrowed = narrow(result, Options(top_k=2))
    assert isinstance(narrowed, Classification)
    assert (narrowed.class_ids.tolist(), narrowed.labels, narrowed.entropy) == ([2, 0], ("blue", "red"), 0.9)
    assert narrow(result, Options(top_k=3)) is result


def test_a_callers_threshold_of_boxes_is_judged_anew_and_fewer_classes_are_not() -> None:
    rules = [{"when": {"num_objects": {"below": 2}}, "verdict": "review", "reason": "few"}]
    facts = {**YOLOX, "statistics": ["scores"], "quality": {"rules": rules}}
    raw = {
        "boxes_xyxy": np.array([[[0, 0, 2, 2], [1, 1, 4, 4]]], np.float32),
        "scores": np.array([[0.75, 0.5]], np.float32),
        "class_ids": np.array([[0, 1]], np.int32),
        "num_boxes": np.array([2], np.int32),
    }
    options = ModelOptions(package_of(b"", facts))
    whole = options.finish(raw_item(facts, raw), Options())
    fewer = options.finish(raw_item(facts, raw), Options(threshold=0.625))
    assert (whole.verdict, whole.statistics["score_mean"]) == ("accept", 0.625)
    assert (fewer.verdict, fewer.reasons, fewer.statistics["score_mean"]) == ("review", ("few",), 0.75)
    close = {"quality": {"rules": [{"when": {"margin": {"below": 0.5}}, "verdict": "review"}]}}
    item = raw_item(
        close,
        {
            "class_ids": np.array([[2, 0]], np.int32),
            "scores": np.array([[0.5, 0.25]], np.float32),
            "entropy": np.array([0.5], np.float32),
        },
    )
    one = ModelOptions(package_of(b"", close)).finish(item, Options(top_k=1))
    assert (one.verdict, one.statistics["margin"]) == ("review", 0.25)


def test_a_box_at_the_threshold_stays() -> None:
    boxes = Detection(
        boxes_xyxy=np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], np.float32),
        scores=np.array([0.9, 0.4, 0.3], np.float32),
        class_ids=np.zeros(3, np.int32),
        labels=("red",) * 3,
    )
    kept = narrow(boxes, Options(threshold=float(np.float32(0.4))))
    assert isinstance(kept, Detection)
    assert kept.boxes_xyxy[:, 2].tolist() == [1.0, 2.0]
