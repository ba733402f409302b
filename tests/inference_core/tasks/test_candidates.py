from __future__ import annotations

import numpy as np
import pytest

from inference_core.tasks.candidates import NO_SCORE, Candidates, pad_to, ranked
from tests.arrays import LIBRARIES, array_of, numpy_of

each_library = pytest.mark.parametrize("library", LIBRARIES)


def candidates_of(scores: list[list[float]], *, library: str) -> Candidates:
    array = np.array(scores, np.float32).reshape(len(scores), -1)
    boxes = np.arange(array.size * 4, dtype=np.float32).reshape(*array.shape, 4)
    return Candidates(
        boxes_xyxy=array_of(boxes, library=library),
        scores=array_of(array, library=library),
        class_ids=array_of(np.zeros_like(array), library=library),
    )


@each_library
@pytest.mark.parametrize("scores", [[[]], [[], []], [[0.1]], [[float("nan"), 0.1]]], ids=str)
def test_nothing_found_is_one_empty_slot(library: str, scores: list[list[float]]) -> None:
    found = ranked(candidates_of(scores, library=library), threshold=0.2, max_candidates=9)
    assert numpy_of(found.scores).tolist() == [[NO_SCORE]] * len(scores)


@each_library
def test_the_best_come_first_and_no_more_than_needed(library: str) -> None:
    scores = [[0.1, 0.9, 0.3, 0.5], [0.1, 0.1, 0.2, 0.1]]
    found = ranked(candidates_of(scores, library=library), threshold=0.2, max_candidates=9)
    expected = np.array([[0.9, 0.5, 0.3], [0.2, NO_SCORE, NO_SCORE]], np.float32)
    np.testing.assert_array_equal(numpy_of(found.scores), expected)
    assert numpy_of(found.boxes_xyxy)[0, :, 0].tolist() == [4, 12, 8]
    limited = ranked(candidates_of(scores, library=library), threshold=0.2, max_candidates=2)
    np.testing.assert_array_equal(numpy_of(limited.scores), expected[:, :2])


@each_library
def test_padding_adds_empty_slots_or_cuts(library: str) -> None:
    candidates = candidates_of([[0.5, 0.25]], library=library)
    assert numpy_of(pad_to(candidates, 3).scores).tolist() == [[0.5, 0.25, NO_SCORE]]
    assert numpy_of(pad_to(candidates, 1).boxes_xyxy).tolist() == [[[0, 1, 2, 3]]]
