"""Where an object is, from its last boxes: without their jitter, and without lagging behind one that moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference_core.records import FloatArray
from inference_core.video.smooth import Smoothing

Reals = NDArray[np.float64]
HALF_LIVES = 4
"""That ``exponential`` looks back: older boxes weigh a sixteenth at most."""


def reach_s(method: Smoothing, *, window_s: float) -> float:
    """How long a way of smoothing looks back."""
    return HALF_LIVES * window_s if method == "exponential" else window_s


def weights_of(ages_s: Reals, *, method: Smoothing, window_s: float) -> Reals:
    """(N,) what boxes of these ages count: a half after ``window_s``, or all the same."""
    return 0.5 ** (ages_s / window_s) if method == "exponential" else np.ones_like(ages_s)


def steady_box(times_s: Reals, boxes_xyxy: Reals, *, now_s: float, method: Smoothing, window_s: float) -> FloatArray:
    """(4,) float32 where the object is at a time: the line through its boxes.

    A mean of the boxes would lag half a window behind a moving object. So the way that it goes is taken out of them
    first: by weighted least squares (``exponential``), or as the median of the speeds between boxes half a track apart
    (``median``), which one wrong box does not move.

    Args:
        times_s: (N,) when it was seen, none before another; N at least 1.
        boxes_xyxy: (N, 4), not modified.
        now_s: not before the last of the times. Beyond it the object goes on for as long as it was seen, then rests.
        method: none is like the last box.
        window_s: see ``weights_of``.
    """
    if method == "none":
        return np.asarray(boxes_xyxy[-1], np.float32)
    ages_s = times_s[-1] - times_s
    if method == "median":
        speed = median_speed(times_s, boxes_xyxy)
        place = np.median(boxes_xyxy + ages_s[:, None] * speed, axis=0)
    else:
        weights = weights_of(ages_s, method=method, window_s=window_s)
        speed = line_speed(times_s, boxes_xyxy, weights)
        place = np.average(boxes_xyxy + ages_s[:, None] * speed, axis=0, weights=weights)
    ahead_s = min(now_s - times_s[-1], times_s[-1] - times_s[0])
    return np.asarray(place + ahead_s * speed, np.float32)


def line_speed(times_s: Reals, boxes_xyxy: Reals, weights: Reals) -> Reals:
    """(4,) pixels for each second, by weighted least squares; 0 of one box."""
    offsets = times_s - np.average(times_s, weights=weights)
    spread = float(weights @ offsets**2)
    return (weights * offsets) @ boxes_xyxy / spread if spread > 0 else np.zeros(4)


def median_speed(times_s: Reals, boxes_xyxy: Reals) -> Reals:
    """(4,) pixels for each second, the median between boxes half a track apart; 0 of boxes of one time.

    Source: Siegel and Theil-Sen estimators of a line, with N / 2 pairs in the place of all N (N - 1) / 2.
    """
    half = (len(times_s) + 1) // 2
    steps_s, ways = times_s[half:] - times_s[:-half], boxes_xyxy[half:] - boxes_xyxy[:-half]
    has_time = steps_s > 0
    if not has_time.any():
        return np.zeros(4)
    return np.asarray(np.median(ways[has_time] / steps_s[has_time, None], axis=0))
