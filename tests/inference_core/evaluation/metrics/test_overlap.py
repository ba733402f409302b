from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.evaluation.metrics.overlap import count_pixels, stack_counts

MASKS = arrays(np.int64, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.integers(0, 2))


@given(truth=MASKS, data=st.data())
def test_overlap_is_scikit_learns(truth: np.ndarray[Any, Any], data: st.DataObject) -> None:
    found = data.draw(arrays(np.int64, truth.shape, elements=st.integers(0, 2)))
    counts = count_pixels(truth, found, num_classes=3)
    arguments = {"labels": [0, 1, 2], "average": None, "zero_division": 0}
    iou = sklearn.metrics.jaccard_score(truth.ravel(), found.ravel(), **arguments)
    dice = sklearn.metrics.f1_score(truth.ravel(), found.ravel(), **arguments)
    present = np.union1d(truth, found)
    np.testing.assert_allclose(counts.iou[present], iou[present])
    np.testing.assert_allclose(counts.dice[present], dice[present])
    assert np.isnan(np.delete(counts.iou, present)).all()
    assert counts.pixel_accuracy == pytest.approx(np.mean(truth == found))


def test_pixels_without_a_label_do_not_count() -> None:
    truth = np.array([[0, 1, 255, -1]])
    counts = count_pixels(truth, np.array([[0, 0, 1, 1]]), num_classes=2)
    assert (counts.shared.tolist(), counts.true.tolist(), counts.found.tolist()) == ([1, 0], [1, 1], [2, 0])


def test_images_together_count_as_often_as_drawn() -> None:
    truth, found = np.array([[0, 1]]), np.array([[0, 0]])
    stacked = stack_counts([count_pixels(truth, found, num_classes=2)] * 2, num_classes=2)
    together = stacked.of_images(np.array([0, 3]))
    assert (together.shared.tolist(), together.true.tolist(), together.found.tolist()) == ([3, 0], [3, 3], [6, 0])
    assert stack_counts([], num_classes=2).iou.shape == (0, 2)
