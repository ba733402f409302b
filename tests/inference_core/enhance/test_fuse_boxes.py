from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.detection_spec import NmsSpec
from inference_core.enhance.fuse_boxes import Boxes, fuse_boxes, join_boxes
from inference_core.tasks.candidates import NO_SCORE, Candidates
from inference_core.tasks.nms import suppress

PLACES = st.sampled_from([(2.0, 2.0), (2.5, 2.0), (10.0, 3.0), (10.5, 3.5), (11.0, 12.0)])
"""Corners near each other, so that boxes overlap."""
SIZES = st.floats(4, 6, width=32)
SCORES = st.integers(1, 999).map(lambda n: n / 1000)


@st.composite
def boxes(draw: st.DrawFn) -> Boxes:
    rows = draw(st.lists(st.tuples(PLACES, SIZES, SIZES, SCORES, st.integers(0, 1)), max_size=6))
    return boxes_of([([x, y, x + w, y + h], score, class_id) for (x, y), w, h, score, class_id in rows])


def boxes_of(rows: list[Any]) -> Boxes:
    return Boxes(
        boxes_xyxy=np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in rows], np.float32),
        class_ids=np.array([class_id for _, _, class_id in rows], np.int32),
    )


def iou(one: Any, other: Any) -> float:
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(areas) - wide * high)


def fuse_slowly(
    forwards: list[Boxes], weights: list[float], iou_threshold: float
) -> list[tuple[int, float, list[float]]]:
    """The paper's steps, one box after the other."""
    entries = [
        (float(score) * weight, int(class_id), [float(side) for side in box])
        for forward, weight in zip(forwards, weights, strict=True)
        for box, score, class_id in zip(forward.boxes_xyxy, forward.scores, forward.class_ids, strict=True)
    ]
    clusters: list[tuple[int, list[Any], list[float]]] = []  # class, members, box so far
    for score, class_id, box in sorted(entries, key=lambda entry: -entry[0]):
        best, most = None, iou_threshold
        for index, (other_class, _, fused) in enumerate(clusters):
            if other_class == class_id and iou(fused, box) > most:
                best, most = index, iou(fused, box)
        if best is None:
            clusters.append((class_id, [(score, box)], box))
            continue
        members = [*clusters[best][1], (score, box)]
        total = sum(one for one, _ in members)
        mean = [sum(one * sides[axis] for one, sides in members) / total for axis in range(4)]
        clusters[best] = (class_id, members, mean)
    fused_boxes = []
    for class_id, members, box in clusters:
        score = sum(one for one, _ in members) / len(members)
        fused_boxes.append((class_id, score * min(len(forwards), len(members)) / sum(weights), box))
    return sorted(fused_boxes, key=lambda entry: (-entry[1], entry[0]))


@given(st.lists(boxes(), min_size=1, max_size=4), st.data(), st.sampled_from([0.3, 0.55, 0.8]))
def test_it_is_what_the_paper_says(forwards: list[Boxes], data: st.DataObject, iou_threshold: float) -> None:
    weights = data.draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=len(forwards), max_size=len(forwards)))
    found = fuse_boxes(forwards, weights=weights, iou_threshold=iou_threshold)
    expected = fuse_slowly(forwards, weights, iou_threshold)
    np.testing.assert_allclose(found.scores, [score for _, score, _ in expected], atol=1e-6)
    as_sets = [
        sorted((int(class_id), round(float(score), 5), *np.round(box, 3).tolist()) for class_id, score, box in rows)
        for rows in (zip(found.class_ids, found.scores, found.boxes_xyxy, strict=True), expected)
    ]
    np.testing.assert_allclose(*as_sets, atol=2e-3)


@pytest.mark.parametrize("forwards", [[boxes_of([])], [boxes_of([]), boxes_of([])]], ids=["one", "two"])
def test_nothing_fused_is_nothing(forwards: list[Boxes]) -> None:
    fused = fuse_boxes(forwards, weights=[1.0] * len(forwards), iou_threshold=0.5)
    assert fused.boxes_xyxy.shape == (0, 4)
    assert fused.class_ids.dtype == np.int32


def test_a_box_without_area_is_no_box() -> None:
    assert len(fuse_boxes([boxes_of([([1, 1, 1, 5], 0.9, 0)])], weights=[1.0], iou_threshold=0.5).scores) == 0


def test_what_all_see_keeps_its_score_and_what_one_sees_loses() -> None:
    seen, alone = ([2, 2, 6, 6], 0.8, 0), ([20, 20, 30, 30], 0.9, 0)
    fused = fuse_boxes(
        [boxes_of([seen, alone]), boxes_of([seen]), boxes_of([seen])], weights=[1.0] * 3, iou_threshold=0.5
    )
    np.testing.assert_allclose(fused.scores, [0.8, 0.3], atol=1e-6)
    np.testing.assert_allclose(fused.boxes_xyxy, [[2, 2, 6, 6], [20, 20, 30, 30]])


def test_weights_move_boxes_and_scores() -> None:
    forwards = [boxes_of([([0, 0, 10, 10], 0.5, 0)]), boxes_of([([1, 0, 11, 10], 0.5, 0)])]
    fused = fuse_boxes(forwards, weights=[3.0, 1.0], iou_threshold=0.5)
    np.testing.assert_allclose(fused.boxes_xyxy, [[0.25, 0, 10.25, 10]])
    np.testing.assert_allclose(fused.scores, [0.5])  # (1.5 + 0.5) / 2 * 2 / 4


def test_other_classes_are_other_objects() -> None:
    forwards = [boxes_of([([0, 0, 10, 10], 0.5, 0)]), boxes_of([([0, 0, 10, 10], 0.5, 1)])]
    assert fuse_boxes(forwards, weights=[1.0, 1.0], iou_threshold=0.5).class_ids.tolist() == [0, 1]


def test_what_is_carried_is_that_of_the_best_box() -> None:
    box = [0, 0, 4, 4]
    carried = [np.float32([[0.1] * 3, [0.2] * 3]), np.float32([[0.3] * 3])]
    forwards = [
        replace(boxes_of(rows), carried={"masks": masks})
        for rows, masks in zip(([(box, 0.5, 0), (box, 0.6, 1)], [(box, 0.7, 0)]), carried, strict=True)
    ]
    plain = fuse_boxes(forwards, weights=[1, 1], iou_threshold=0.5)
    assert plain.class_ids.tolist() == [0, 1]
    np.testing.assert_array_equal(plain.carried["masks"], np.float32([[0.3] * 3, [0.2] * 3]))
    weighted = fuse_boxes(forwards, weights=[2, 1], iou_threshold=0.5)
    np.testing.assert_array_equal(
        weighted.carried["masks"][weighted.class_ids.tolist().index(0)], [np.float32(0.1)] * 3
    )


def table_of(name: str) -> Any:
    return json.loads((Path(__file__).parents[2] / "references" / name).read_text())


def forwards_of(case: Any) -> list[Boxes]:
    return [boxes_of(list(zip(one["boxes"], one["scores"], one["class_ids"], strict=True))) for one in case["forwards"]]


def as_rows(boxes: Any, scores: Any, class_ids: Any) -> Any:
    """Boxes in an order of their own, since equal scores may come in either."""
    rows = np.column_stack([class_ids, np.reshape(boxes, (-1, 4)), scores]).astype(np.float64)
    return rows[np.lexsort(np.round(rows, 4).T)]


@pytest.mark.parametrize("case", table_of("box_fusion.json")["cases"])
def test_it_is_what_the_authors_package_gives(case: Any) -> None:
    """See ``tests/references/write_box_fusion.py``, which wrote the table with ensemble-boxes."""
    found = fuse_boxes(forwards_of(case), weights=case["weights"], iou_threshold=case["iou_threshold"])
    expected = as_rows(**case["wbf"])
    # The package sums boxes in float32 (24 bits of shares below 1), and the table has six digits.
    np.testing.assert_allclose(as_rows(found.boxes_xyxy, found.scores, found.class_ids), expected, atol=2e-6)


@pytest.mark.parametrize("case", table_of("box_fusion.json")["cases"])
def test_boxes_that_compete_once_are_those_that_the_authors_package_keeps(case: Any) -> None:
    joined = join_boxes(forwards_of(case))
    candidates = Candidates(
        boxes_xyxy=joined.boxes_xyxy[None], scores=joined.scores[None], class_ids=joined.class_ids[None]
    )
    nms = NmsSpec(iou_threshold=case["iou_threshold"], max_boxes=100)
    kept = suppress(candidates, nms=nms, threshold=0.001)
    is_used = kept.scores[0] > NO_SCORE
    found = as_rows(*(part[0][is_used] for part in (kept.boxes_xyxy, kept.scores, kept.class_ids)))
    np.testing.assert_allclose(found, as_rows(**case["nms"]), atol=1e-6)  # nothing is computed: float32 of six digits


def test_the_table_tries_what_fusion_has_to_do() -> None:
    cases = table_of("box_fusion.json")["cases"]
    sizes = [(sum(len(one["scores"]) for one in case["forwards"]), len(case["wbf"]["scores"])) for case in cases]
    assert sum(fused < given for given, fused in sizes) >= 12
    assert {len(case["forwards"]) for case in cases} == {1, 2, 3, 4}
    assert any(not one["scores"] for case in cases for one in case["forwards"])


@st.composite
def unequal(draw: st.DrawFn) -> list[Boxes]:
    """Forwards without two equal scores, so that the order of boxes is that of their scores alone."""
    given = draw(st.lists(boxes(), min_size=2, max_size=4))
    count = sum(len(one.scores) for one in given)
    scores = iter(draw(st.permutations(range(1, count + 1))))
    return [replace(one, scores=np.array([next(scores) / 32 for _ in one.scores], np.float32)) for one in given]


def rows_of(found: Boxes) -> Any:
    return as_rows(found.boxes_xyxy, found.scores, found.class_ids)


@given(unequal(), st.data())
def test_the_order_of_forwards_says_nothing(forwards: list[Boxes], data: st.DataObject) -> None:
    weights = [1.0 + 2.0**-10 * index for index in range(len(forwards))]  # no two weighted scores are equal, either
    order = data.draw(st.permutations(range(len(forwards))))
    found, other = (
        fuse_boxes([forwards[i] for i in places], weights=[weights[i] for i in places], iou_threshold=0.5)
        for places in (range(len(forwards)), order)
    )
    np.testing.assert_allclose(rows_of(found), rows_of(other), rtol=1e-6, atol=1e-6)  # sums in another order


@given(unequal(), st.sampled_from([0.125, 0.5, 8.0]))
def test_weights_count_relative_to_each_other(forwards: list[Boxes], factor: float) -> None:
    weights = [1.0 + index for index in range(len(forwards))]
    found = fuse_boxes(forwards, weights=weights, iou_threshold=0.5)
    scaled = fuse_boxes(forwards, weights=[factor * weight for weight in weights], iou_threshold=0.5)
    np.testing.assert_array_equal(rows_of(found), rows_of(scaled))  # powers of two round nothing


@given(unequal())
def test_forwards_that_see_the_same_are_as_one(forwards: list[Boxes]) -> None:
    """Where the boxes of the one do not overlap among themselves."""
    one = forwards[0]
    apart = replace(one, boxes_xyxy=one.boxes_xyxy + 100 * np.arange(len(one.scores), dtype=np.float32)[:, None])
    fused = fuse_boxes([apart] * 3, weights=[1, 2, 5], iou_threshold=0.5)
    np.testing.assert_allclose(rows_of(fused), rows_of(apart), rtol=1e-6)
