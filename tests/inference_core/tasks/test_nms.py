from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.detection_spec import NmsSpec
from inference_core.tasks.candidates import NO_SCORE, Candidates
from inference_core.tasks.nms import suppress
from tests.arrays import LIBRARIES, array_of, numpy_of

Box = tuple[float, float, float, float]
Found = list[tuple[Box, float, int]]
each_library = pytest.mark.parametrize("library", LIBRARIES)

sides = st.integers(0, 12)
boxes = st.tuples(sides, sides, sides, sides).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
# Few scores and classes, so that ties are common.
found_boxes = st.tuples(boxes, st.sampled_from([0.1, 0.25, 0.5, 0.625, 0.75, 1.0]), st.integers(0, 2))
images = st.lists(found_boxes, max_size=14)


def candidates_of(batch: list[Found], *, library: str) -> Candidates:
    count = max((len(found) for found in batch), default=0)
    corners = np.zeros((len(batch), count, 4), np.float32)
    scores = np.full((len(batch), count), NO_SCORE, np.float32)
    class_ids = np.zeros((len(batch), count), np.float32)
    for row, found in enumerate(batch):
        for column, (box, score, class_id) in enumerate(found):
            corners[row, column], scores[row, column], class_ids[row, column] = box, score, class_id
    ids: Any = array_of(class_ids, library=library)
    return Candidates(
        boxes_xyxy=array_of(corners, library=library),
        scores=array_of(scores, library=library),
        class_ids=ids.int() if library == "torch" else ids.astype(np.int32),
    )


def kept_of(batch: list[Found], *, library: str = "numpy", threshold: float = 0.2, **options: Any) -> list[Found]:
    nms = NmsSpec(**options)
    kept = suppress(candidates_of(batch, library=library), nms=nms, threshold=threshold)
    assert tuple(kept.scores.shape) == (len(batch), nms.max_boxes)
    results = []
    arrays = (numpy_of(array) for array in (kept.boxes_xyxy, kept.scores, kept.class_ids, kept.rows))
    for found, corners, scores, class_ids, rows in zip(batch, *arrays, strict=True):
        count = int((scores > NO_SCORE).sum())
        assert (scores[count:] == NO_SCORE).all()
        results.append([(tuple(corners[i].tolist()), float(scores[i]), int(class_ids[i])) for i in range(count)])
        assert [(found[row][0], found[row][2]) for row in rows[:count]] == [entry[::2] for entry in results[-1]]
        assert len(set(rows[:count].tolist())) == count
    return results


def naive_iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def naive_ranked(found: Found, *, threshold: float) -> Found:
    order = sorted(range(len(found)), key=lambda i: (-found[i][1], found[i][2], i))
    return [found[i] for i in order if found[i][1] >= threshold]


def naive_hard(found: Found, *, threshold: float, iou_threshold: float, class_agnostic: bool) -> Found:
    kept: Found = []
    for box, score, class_id in naive_ranked(found, threshold=threshold):
        rivals = [other for other, _, other_class in kept if class_agnostic or other_class == class_id]
        if all(naive_iou(box, other) <= iou_threshold for other in rivals):
            kept.append((box, score, class_id))
    return kept


def naive_soft(found: Found, *, threshold: float, sigma: float, class_agnostic: bool) -> Found:
    left, kept = naive_ranked(found, threshold=threshold), []
    while left:
        best = max(range(len(left)), key=lambda i: (left[i][1], -i))
        box, score, class_id = left.pop(best)
        kept.append((box, score, class_id))
        left = [
            (other, s * np.exp(-(naive_iou(box, other) ** 2) / sigma) if class_agnostic or c == class_id else s, c)
            for other, s, c in left
        ]
        left = [entry for entry in left if entry[1] >= threshold]
    return kept


@each_library
@pytest.mark.parametrize("method", ["hard", "soft", "none"])
@pytest.mark.parametrize(
    "batch",
    [
        pytest.param([[]], id="no-boxes"),
        pytest.param([[((0, 0, 4, 4), 0.1, 0)]], id="under-the-threshold"),
        pytest.param([[], [((1, 1, 1, 1), 0.5, 0)]], id="zero-area"),
        pytest.param([[((0, 0, 4, 4), 0.5, 0)], []], id="one-box"),
    ],
)
def test_degenerate_images(library: str, method: str, batch: list[Found]) -> None:
    expected = [[entry for entry in found if entry[1] >= 0.2] for found in batch]
    assert kept_of(batch, library=library, method=method) == expected


@each_library
@given(
    batch=st.lists(images, min_size=1, max_size=3), agnostic=st.booleans(), iou=st.sampled_from([0.0, 0.3, 0.5, 1.0])
)
@settings(max_examples=60, deadline=None)
def test_hard_suppression_is_the_naive_loop(library: str, batch: list[Found], agnostic: bool, iou: float) -> None:
    expected = [naive_hard(found, threshold=0.2, iou_threshold=iou, class_agnostic=agnostic) for found in batch]
    kept = kept_of(batch, library=library, iou_threshold=iou, class_agnostic=agnostic)
    # 1/3 > 0.3 in every precision, and no IoU of these boxes lies within rounding of 0.3; at 0.5 both are exact.
    assert kept == expected


@each_library
@given(found=images, agnostic=st.booleans(), sigma=st.sampled_from([0.3, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_soft_suppression_is_the_naive_loop(library: str, found: Found, agnostic: bool, sigma: float) -> None:
    # Scores that are all different leave no choice of order to rounding.
    spread = [(box, score - 0.003 * index, class_id) for index, (box, score, class_id) in enumerate(found)]
    expected = naive_soft(spread, threshold=0.2, sigma=sigma, class_agnostic=agnostic)
    (kept,) = kept_of([spread], library=library, method="soft", sigma=sigma, class_agnostic=agnostic)
    assert sorted(entry[0] for entry in kept) == sorted(entry[0] for entry in expected)
    np.testing.assert_allclose([e[1] for e in kept], [e[1] for e in expected], atol=2e-6)


@given(found=images)
@settings(max_examples=40, deadline=None)
def test_twice_is_once(found: Found) -> None:
    once = kept_of([found])
    assert kept_of(once) == once


@given(batch=st.lists(images, min_size=2, max_size=4))
@settings(max_examples=40, deadline=None)
def test_an_image_does_not_depend_on_its_batch(batch: list[Found]) -> None:
    for method in ("hard", "soft"):
        assert kept_of(batch, method=method) == [kept_of([found], method=method)[0] for found in batch]


@each_library
def test_equal_scores_come_by_class_then_by_position(library: str) -> None:
    found: Found = [((9, 0, 10, 1), 0.5, 1), ((6, 0, 7, 1), 0.5, 0), ((3, 0, 4, 1), 0.5, 0), ((0, 0, 1, 1), 0.9, 2)]
    for method in ("hard", "soft", "none"):
        (kept,) = kept_of([found], library=library, method=method)
        assert [entry[0][0] for entry in kept] == [0, 6, 3, 9]


def test_a_chain_keeps_every_second_box() -> None:
    found: Found = [((k, 0, k + 4, 4), 1 - k / 100, 0) for k in range(20)]
    (kept,) = kept_of([found], iou_threshold=0.4)  # the next one overlaps by 3/5, the one after by 1/3
    assert [int(entry[0][0]) for entry in kept] == list(range(0, 20, 2))


def test_only_boxes_of_one_class_compete_unless_told_otherwise() -> None:
    found: Found = [((0, 0, 4, 4), 0.9, 0), ((0, 0, 4, 4), 0.8, 1)]
    assert len(kept_of([found])[0]) == 2
    assert len(kept_of([found], class_agnostic=True)[0]) == 1


def test_limits_keep_the_best() -> None:
    found: Found = [((k * 10, 0, k * 10 + 4, 4), 0.3 + k / 100, 0) for k in range(9)]
    for method in ("hard", "soft", "none"):
        assert [e[0][0] for e in kept_of([found], method=method, max_boxes=2)[0]] == [80, 70]
        assert len(kept_of([found], method=method, max_candidates=3)[0]) == 3


def test_smaller_sigma_lowers_more() -> None:
    found: Found = [((0, 0, 4, 4), 0.9, 0), ((0, 0, 4, 3), 0.8, 0)]
    (soft,), (softer,) = (kept_of([found], method="soft", sigma=sigma, threshold=0.01) for sigma in (1.0, 0.5))
    assert soft[1][1] == pytest.approx(0.8 * np.exp(-(0.75**2)), abs=1e-6)
    assert softer[1][1] < soft[1][1]
