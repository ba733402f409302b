from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.agreement import GAPS, box_ious, decision_of, disagreement, largest_difference, unpaired_frac
from inference_core.items import Prediction
from inference_core.records import SourceFacts
from inference_core.results import Classification, Detection, Embedding, MultiLabel, Segmentation

ONE, TWO = np.float32([[1, 2]]), np.float32([[1, 2.5]])


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        pytest.param({}, {}, 0.0, id="none"),
        pytest.param({"a": ONE}, {"b": ONE}, 0.0, id="other-name"),
        pytest.param({"a": ONE}, {"a": TWO}, 0.5, id="values"),
        pytest.param({"a": ONE, "b": ONE}, {"a": ONE, "b": TWO}, 0.5, id="second"),
        pytest.param({"a": ONE}, {"a": ONE[:, :1]}, None, id="shape"),
        pytest.param({"a": ONE}, {}, None, id="missing"),
        pytest.param({"a": ONE}, {"a": ONE * np.float32("nan")}, None, id="nan"),
        pytest.param({"a": ONE}, {"a": ONE * np.float32("inf")}, None, id="inf"),
    ],
)
def test_the_largest_difference(expected: Any, found: Any, difference: float | None) -> None:
    assert largest_difference(expected, found) == difference


def answer(result: Any) -> Prediction:
    status = "ok" if result is not None else "infer_error"
    return Prediction(source=SourceFacts(image_id="a"), status=status, error="" if result else "x", result=result)


def label(*class_ids: int) -> Prediction:
    scores = np.linspace(1, 0, len(class_ids), dtype=np.float32)
    labels = tuple(map(str, class_ids))
    return answer(Classification(class_ids=np.int32(class_ids), scores=scores, labels=labels, entropy=0.5))


def mask(*values: int) -> Prediction:
    pixels = np.uint8([values])
    zeros = np.zeros(9)
    return answer(
        Segmentation(
            mask=pixels,
            scores=pixels,
            class_pixels=zeros.astype(np.int64),
            class_scores=zeros.astype(np.float32),
            labels=tuple("abcdefghi"),
        )
    )


def labels(*class_ids: int) -> Prediction:
    found, texts = np.array(class_ids, np.int32), tuple(map(str, class_ids))
    scores = np.ones(len(class_ids), np.float32)
    return answer(
        MultiLabel(
            class_ids=found,
            scores=scores,
            labels=texts,
            top_class_ids=np.int32([7]),
            top_scores=np.float32([1]),
            top_labels=("seven",),
        )
    )


def vector(*values: float) -> Prediction:
    return answer(Embedding(vector=np.float32(values), norm=1.0))


def objects(*class_ids: int, shift_px: float = 0.0) -> Prediction:
    """Objects of 10 x 10 pixels side by side, each class at a place of its own."""
    count = len(class_ids)
    left = np.float32(
        [20 * (100 * class_id + class_ids[:index].count(class_id)) for index, class_id in enumerate(class_ids)]
    )
    boxes = np.column_stack([left + shift_px, 0 * left, left + shift_px + 10, 0 * left + 10]).astype(np.float32)
    return answer(
        Detection(
            boxes_xyxy=boxes.reshape(count, 4),
            scores=np.ones(count, np.float32),
            class_ids=np.array(class_ids, np.int32),
            labels=tuple(map(str, class_ids)),
        )
    )


@pytest.mark.parametrize(
    ("expected", "found", "share"),
    [
        pytest.param(label(1, 2), label(1, 3), 0.0, id="same-label"),
        pytest.param(label(1, 2), label(2, 1), 1.0, id="other-label"),
        pytest.param(mask(0, 1, 2, 3), mask(0, 1, 2, 3), 0.0, id="same-mask"),
        pytest.param(mask(0, 1, 2, 3), mask(0, 1, 2, 4), 0.25, id="one-pixel-of-four"),
        pytest.param(objects(), objects(), 0.0, id="no-objects"),
        pytest.param(objects(1, 1, 2), objects(2, 1, 1), 0.0, id="same-objects"),
        pytest.param(objects(1, 1, 2), objects(1, 2), 1 / 3, id="one-object-less"),
        pytest.param(objects(1, 2), objects(1, 2, shift_px=3), 0.0, id="objects-moved-a-little"),
        pytest.param(objects(1, 2), objects(1, 2, shift_px=4), 1.0, id="objects-moved-away"),
        pytest.param(labels(), labels(), 0.0, id="no-labels"),
        pytest.param(labels(1, 2), labels(2, 1), 0.0, id="labels-in-another-order"),
        pytest.param(labels(1, 2), labels(2, 3), 2 / 3, id="one-label-of-three-shared"),
        pytest.param(labels(1), labels(2), 1.0, id="no-label-shared"),
        pytest.param(mask(0, 1), mask(0, 1, 1), 1.0, id="mask-of-another-size"),
        pytest.param(vector(1, 0), vector(2, 0), 0.0, id="embedding-of-another-length"),
        pytest.param(vector(1, 0), vector(1, 1), 1 - np.sqrt(0.5), id="embedding-turned"),
        pytest.param(vector(1, 0), vector(-1, 0), 1.0, id="embedding-turned-round"),
        pytest.param(vector(0, 0), vector(0, 0), 0.0, id="embeddings-of-zeros"),
        pytest.param(vector(0, 0), vector(0, 1), 1.0, id="one-embedding-of-zeros"),
        pytest.param(vector(1, 0), vector(1, 0, 0), 1.0, id="embedding-of-another-size"),
        pytest.param(label(1), mask(1), 1.0, id="another-task"),
        pytest.param(label(1), answer(None), 1.0, id="failed"),
        pytest.param(answer(None), answer(None), 0.0, id="both-failed"),
    ],
)
def test_how_far_two_answers_differ(expected: Prediction, found: Prediction, share: float) -> None:
    assert disagreement(expected, found) == pytest.approx(share)
    assert disagreement(found, expected) == pytest.approx(share)


BOXES = st.lists(st.tuples(*[st.integers(0, 3), *[st.integers(0, 40)] * 2, *[st.integers(1, 20)] * 2]), max_size=8)


def decided(boxes: list[tuple[int, ...]]) -> Any:
    rows = [[class_id, x, y, x + width, y + height] for class_id, x, y, width, height in boxes]
    return np.array(rows, np.float32).reshape(-1, 5)


@given(BOXES, BOXES)
def test_objects_find_each_other_whatever_their_order(one: list[Any], other: list[Any]) -> None:
    assert 0 <= unpaired_frac(decided(one), decided(other)) <= 1
    assert unpaired_frac(decided(one), decided(one[::-1])) == 0
    assert unpaired_frac(decided(one), decided([])) == float(bool(one))


def test_overlap_of_boxes() -> None:
    boxes = np.float32([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 5, 5]])
    np.testing.assert_allclose(box_ious(boxes[:1], boxes), [[1, 1 / 3, 0]])
    assert box_ious(boxes[:0], boxes).shape == (0, 3)


def test_a_decision_keeps_what_scores_do_not_change() -> None:
    assert decision_of(label(4, 2).result).tolist() == [4]  # type: ignore[arg-type]
    assert decision_of(objects(3).result).tolist() == [[3, 6000, 0, 6010, 10]]  # type: ignore[arg-type]
    assert decision_of(objects().result).shape == (0, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", GAPS)
def test_a_decision_agrees_with_itself_and_is_not_changed(task: Any) -> None:
    answers = {
        "classification": label(1),
        "multilabel": labels(1, 2),
        "detection": objects(1, 2),
        "segmentation": mask(0, 1),
        "embedding": vector(1, 2),
    }
    decision = decision_of(answers[task].result)  # type: ignore[arg-type]
    decision.flags.writeable = False
    assert GAPS[task](decision, decision) == pytest.approx(0, abs=1e-12)
