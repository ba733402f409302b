from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from inference_core.errors import ConfigError
from inference_core.records import FloatArray
from inference_core.video.smooth import DEFAULT_WINDOW_S, MaskSmoother, ScoreSmoother, Smoothing, read_smoothing

UNIT = st.floats(0, 1, width=32)


def smooth_scores(
    scores: FloatArray, times_s: NDArray[np.float64], *, method: Smoothing, window_s: float = DEFAULT_WINDOW_S
) -> FloatArray:
    smoother = ScoreSmoother(method, window_s=window_s)
    pairs = zip(scores, times_s.tolist(), strict=True)
    return np.stack([smoother.update(row, time_s=time_s) for row, time_s in pairs])


@pytest.mark.parametrize("method", ["exponential", "median"])
def test_masks_of_another_size_begin_anew(method: Smoothing) -> None:
    smoother = MaskSmoother(method, num_classes=3, window_s=9.0)
    smoother.update(np.full((2, 2), 1, np.uint8), time_s=0)
    assert smoother.update(np.full((3, 2), 2, np.uint8), time_s=1).tolist() == [[2, 2]] * 3


@pytest.mark.parametrize("method", ["none", "exponential", "median"])
def test_what_does_not_change_is_not_changed(method: Smoothing) -> None:
    scores = np.tile(np.float32([0.2, 0.8]), (5, 1))
    np.testing.assert_allclose(smooth_scores(scores, np.arange(5.0), method=method), scores, atol=1e-7)


def test_what_was_seen_a_half_life_ago_counts_half() -> None:
    scores = np.float32([[1], [0], [0]])
    smoothed = smooth_scores(scores, np.array([0.0, 0.5, 1.5]), method="exponential", window_s=0.5)
    np.testing.assert_allclose(smoothed[:, 0], [1, 0.5, 0.125])


def test_a_variable_rate_comes_to_the_same() -> None:
    times = np.array([0.0, 0.1, 0.2, 0.3, 1.0])
    scores = np.float32([[1], [0], [0], [0], [0]])
    few = smooth_scores(scores[[0, 4]], times[[0, 4]], method="exponential")
    assert smooth_scores(scores, times, method="exponential")[-1] == pytest.approx(few[-1], abs=1e-6)


def test_the_median_forgets_single_frames() -> None:
    scores = np.float32([[0], [0], [1], [0], [0], [1], [1], [1]])
    smoothed = smooth_scores(scores, np.arange(8) / 10, method="median", window_s=0.3)
    assert smoothed[:, 0].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]


@given(arrays(np.float32, (6, 2), elements=UNIT), st.sampled_from(["exponential", "median"]))
def test_smoothed_scores_stay_within_what_was_seen(scores: np.ndarray, method: Smoothing) -> None:  # type: ignore[type-arg]
    smoothed = smooth_scores(scores, np.arange(6) / 4, method=method)
    for end in range(1, 7):
        assert (smoothed[end - 1] <= scores[:end].max(axis=0) + 1e-6).all()
        assert (smoothed[end - 1] >= scores[:end].min(axis=0) - 1e-6).all()


@pytest.mark.parametrize("method", ["exponential", "median"])
def test_a_pixel_that_flickers_once_keeps_its_class(method: Smoothing) -> None:
    smoother = MaskSmoother(method, num_classes=3, window_s=1.0)
    masks = [np.full((2, 2), class_id, np.uint8) for class_id in (1, 1, 2, 1)]
    shown = [smoother.update(mask, time_s=index / 10) for index, mask in enumerate(masks)]
    assert [mask[0, 0] for mask in shown] == [1, 1, 1, 1]


@pytest.mark.parametrize("method", ["exponential", "median"])
def test_a_pixel_that_changes_for_good_changes(method: Smoothing) -> None:
    smoother = MaskSmoother(method, num_classes=3, window_s=0.4)
    classes = [0] * 10 + [2] * 10
    shown = [smoother.update(np.full((1, 1), one, np.uint8), time_s=index / 10) for index, one in enumerate(classes)]
    assert shown[9][0, 0] == 0
    assert shown[-1][0, 0] == 2


def test_without_smoothing_a_mask_is_itself() -> None:
    mask = np.ones((2, 2), np.uint8)
    assert MaskSmoother("none", num_classes=2).update(mask, time_s=0) is mask


@pytest.mark.parametrize("window_s", [0.0, -1.0, float("nan")])
def test_windows_without_length_are_refused(window_s: float) -> None:
    with pytest.raises(ConfigError, match="window_s: must be above 0, got"):
        ScoreSmoother("median", window_s=window_s)
    with pytest.raises(ConfigError, match="window_s: must be above 0, got"):
        MaskSmoother("median", num_classes=2, window_s=window_s)


def test_another_way_of_smoothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="--smooth: must be one of none, exponential, median, got 'mean'"):
        read_smoothing("mean", key="--smooth")
