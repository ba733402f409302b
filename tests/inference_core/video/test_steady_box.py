from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import theilslopes

from inference_core.video.smooth import Smoothing
from inference_core.video.steady_box import line_speed, median_speed, steady_box

BOX = np.array([10.0, 20.0, 30.0, 50.0])
METHODS: tuple[Smoothing, ...] = ("exponential", "median")


@pytest.mark.parametrize("method", ["none", *METHODS])
def test_one_box_is_itself_and_stays(method: Smoothing) -> None:
    for now_s in (0.0, 3.0):
        found = steady_box(np.zeros(1), BOX[None], now_s=now_s, method=method, window_s=0.5)
        assert found.tolist() == BOX.tolist()
        assert found.dtype == np.float32


@given(
    speed=st.floats(-300, 300),
    steps_ms=st.lists(st.integers(1, 400), min_size=1, max_size=20),
    method=st.sampled_from(METHODS),
)
def test_a_steady_motion_does_not_lag(speed: float, steps_ms: list[int], method: Smoothing) -> None:
    times_s = np.cumsum([0, *steps_ms]) / 1000
    boxes = BOX + speed * times_s[:, None]
    found = steady_box(times_s, boxes, now_s=times_s[-1], method=method, window_s=0.5)
    np.testing.assert_allclose(found, boxes[-1], atol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_jitter_becomes_less(method: Smoothing) -> None:
    random = np.random.default_rng(0)
    times_s = np.arange(30) / 30
    errors = [
        steady_box(times_s, BOX + random.normal(0, 4, (30, 4)), now_s=times_s[-1], method=method, window_s=0.5) - BOX
        for _ in range(50)
    ]
    assert np.std(errors) < 2


def test_the_median_is_not_moved_by_one_wrong_box() -> None:
    times_s = np.arange(9) / 10
    boxes = BOX + 50 * times_s[:, None]
    boxes[4] += 500
    found = steady_box(times_s, boxes, now_s=times_s[-1], method="median", window_s=2.0)
    np.testing.assert_allclose(found, BOX + 50 * times_s[-1], atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_an_unseen_object_goes_on_for_as_long_as_it_was_seen(method: Smoothing) -> None:
    times_s = np.array([0.0, 0.1, 0.2])
    boxes = BOX + 100 * times_s[:, None]
    places = [
        float(steady_box(times_s, boxes, now_s=now_s, method=method, window_s=1.0)[0] - BOX[0])
        for now_s in (0.2, 0.3, 0.4, 0.9)
    ]
    assert places == pytest.approx([20, 30, 40, 40], abs=1e-3)


def test_speeds_are_those_of_independent_estimators() -> None:
    random = np.random.default_rng(1)
    times_s = np.sort(random.uniform(0, 2, 12))
    boxes = BOX + random.normal(0, 1, (12, 4)) + 30 * times_s[:, None]
    weights = random.uniform(0.1, 1, 12)
    expected = np.polyfit(times_s, boxes, 1, w=np.sqrt(weights))[0]
    np.testing.assert_allclose(line_speed(times_s, boxes, weights), expected, rtol=1e-9)
    robust = [theilslopes(boxes[:, side], times_s).slope for side in range(4)]
    np.testing.assert_allclose(median_speed(times_s, boxes), robust, atol=1.5)  # fewer pairs, so near alone


@pytest.mark.parametrize("method", ["exponential", "median"])
def test_frames_of_one_time_tell_nothing_of_speed(method: Smoothing) -> None:
    boxes = np.array([[0.0, 0, 10, 10], [2, 0, 12, 10]])
    box = steady_box(np.array([0.1, 0.1]), boxes, now_s=0.2, method=method, window_s=0.5)
    np.testing.assert_allclose(box, [1, 0, 11, 10])
