from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.evaluation.fitting.threshold_curve import (
    GOALS,
    MAX_POINTS,
    best_point,
    level_thresholds,
    point_of_precision,
    point_of_recall,
    sweep_levels,
    sweep_scores,
)
from inference_core.postprocess.threshold import apply_threshold

SCORES = arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 50).map(lambda k: k / 50))


@given(scores=SCORES, data=st.data())
def test_figures_are_scikit_learns_at_every_threshold(scores: np.ndarray[Any, Any], data: st.DataObject) -> None:
    is_true = data.draw(arrays(np.bool_, len(scores)))
    curve = sweep_scores(scores, is_true)
    assert (np.diff(curve.thresholds) > 0).all()
    assert ((curve.thresholds > 0) & (curve.thresholds < 1)).all()
    for index, threshold in enumerate(curve.thresholds):
        answered = scores >= threshold
        point = curve.point(index)
        precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
            is_true, answered, average="binary", zero_division=1
        )
        assert (point.precision, point.recall) == pytest.approx((precision, recall))
        if is_true.any() or answered.any():
            assert point.f1 == pytest.approx(f1)
            assert point.iou == pytest.approx(sklearn.metrics.jaccard_score(is_true, answered))
        assert point.answered_frac == pytest.approx(answered.mean())


def test_every_split_of_the_scores_is_tried() -> None:
    curve = sweep_scores(np.array([0.2, 0.4, 0.4, 0.9]), np.array([False, True, False, True]))
    assert curve.thresholds.tolist() == [0.1, 0.3, 0.65]
    assert curve.answered_frac.tolist() == [1.0, 0.75, 0.25]


def test_what_has_no_score_counts_as_missed() -> None:
    curve = sweep_scores(np.array([0.5]), np.array([True]), num_true=4, num_cases=10)
    assert (curve.recall.tolist(), curve.answered_frac.tolist()) == ([0.25], [0.1])


def test_scores_at_the_ends_leave_a_threshold_between_0_and_1() -> None:
    curve = sweep_scores(np.array([0.0, 1.0, 0.99999]), np.array([False, True, True]))
    assert ((curve.thresholds > 0) & (curve.thresholds < 1)).all()
    assert best_point(curve, goal="f1").f1 == 1


def test_the_levels_of_pixels_are_those_of_masks() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 256, (40, 50)).astype(np.uint8)
    truth = random.random((40, 50)) < scores / 255
    counts = np.stack([np.bincount(scores[truth == flag], minlength=256) for flag in (False, True)])
    curve = sweep_levels(counts)
    for index in (0, 63, 127, 254):
        answered = apply_threshold(scores, threshold=float(curve.thresholds[index])) > 0
        assert curve.dice[index] == pytest.approx(sklearn.metrics.f1_score(truth.ravel(), answered.ravel()))


def test_a_threshold_between_levels_divides_them_there() -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    for level, threshold in enumerate(level_thresholds(), start=1):
        assert apply_threshold(levels, threshold=float(threshold)).sum() == 256 - level


@given(scores=SCORES, data=st.data())
def test_nothing_is_better_than_the_best(scores: np.ndarray[Any, Any], data: st.DataObject) -> None:
    curve = sweep_scores(scores, data.draw(arrays(np.bool_, len(scores))))
    for goal in GOALS:
        best = best_point(curve, goal=goal)
        assert getattr(best, "f1" if goal == "dice" else goal) == pytest.approx(getattr(curve, goal).max())


def test_of_equally_good_thresholds_the_middle_one_is_taken() -> None:
    counts = np.zeros((2, 256))
    counts[0, 50], counts[1, 200] = 10, 10
    assert best_point(sweep_levels(counts), goal="dice").threshold == pytest.approx(125 / 255, abs=0.003)


def test_a_wanted_precision_or_recall_gives_the_threshold_and_the_load() -> None:
    scores = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    curve = sweep_scores(scores, np.array([False, True, False, True, True]))
    sure = point_of_precision(curve, 0.99)
    assert sure is not None
    assert (sure.threshold, sure.precision, sure.recall) == (0.6, 1.0, pytest.approx(2 / 3))
    assert 1 - sure.answered_frac == pytest.approx(0.6)
    everything = point_of_recall(curve, 1.0)
    assert everything is not None
    assert (everything.threshold, everything.recall, everything.precision) == (0.2, 1.0, 0.75)
    wrong = sweep_scores(np.array([0.5]), np.array([False]), num_true=2)
    assert point_of_precision(wrong, 0.5) is None
    assert point_of_recall(wrong, 0.5) is None


def test_a_kept_curve_is_short_and_keeps_its_ends() -> None:
    scores = np.linspace(0, 1, 5000)
    curve = sweep_scores(scores, scores > 0.5)
    thin = curve.thinned()
    assert len(thin.thresholds) == MAX_POINTS
    assert thin.thresholds[[0, -1]].tolist() == curve.thresholds[[0, -1]].tolist()


@given(scores=SCORES, threshold=st.floats(0.001, 0.999), data=st.data())
def test_between_thresholds_the_figures_are_those_of_the_scores(
    scores: np.ndarray[Any, Any], threshold: float, data: st.DataObject
) -> None:
    is_true = data.draw(arrays(np.bool_, len(scores)))
    point = sweep_scores(scores, is_true).at(threshold)
    answered = scores >= threshold
    assert point.answered_frac == pytest.approx(answered.mean())
    assert point.recall == pytest.approx((answered & is_true).sum() / is_true.sum() if is_true.any() else point.recall)
