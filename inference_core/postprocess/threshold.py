"""From a score map to a binary mask, by a given threshold or by Otsu's."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from inference_core.errors import ConfigError, ShapeError
from inference_core.records import Uint8Array, check_array


def apply_threshold(scores: Uint8Array, *, threshold: float | Literal["otsu"]) -> Uint8Array:
    """Foreground where the score reaches the threshold.

    Args:
        scores: (H, W) uint8, score times 255.
        threshold: in [0, 1]; foreground is ``scores / 255 >= threshold``. ``otsu`` chooses one for each image.

    Returns:
        (H, W) uint8, 1 for foreground and 0 for background.

    Raises:
        ConfigError: the threshold is not in [0, 1].
        ShapeError: scores are not (H, W) uint8.
    """
    check_array("scores", scores, ndim=2, dtype=np.uint8)
    if threshold == "otsu":
        return (scores > otsu_level(scores)).view(np.uint8)
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold must be in [0, 1] or 'otsu', got {threshold}; correct it")
    level = math.ceil(threshold * 255)
    return (scores >= level).view(np.uint8)


def otsu_level(scores: Uint8Array) -> int:
    """The level that best splits the values into two groups, computed on the 256 levels.

    Args:
        scores: uint8 of any shape, not empty.

    Returns:
        0 to 255; values above it are the foreground. The lowest of equally good levels. With a single value, that
        value, so that nothing is foreground.

    Raises:
        ShapeError: scores are empty or not uint8.

    Source: Otsu, A Threshold Selection Method from Gray-Level Histograms, IEEE SMC 9(1), 1979, equation 18.
    """
    if scores.dtype != np.uint8 or scores.size == 0:
        raise ShapeError(f"scores must be uint8 and not empty, got {scores.dtype}{list(scores.shape)}")
    counts = np.bincount(scores.ravel(), minlength=256)
    levels = np.flatnonzero(counts)
    if levels.size == 1:
        return int(levels[0])
    num_below = np.cumsum(counts[levels])[:-1]  # (levels - 1,) pixels up to each level
    sum_below = np.cumsum(counts[levels] * levels)
    num_above = scores.size - num_below
    gap = sum_below[:-1] / num_below - (sum_below[-1] - sum_below[:-1]) / num_above
    # Between-class variance; float64 is exact enough to order 256 levels, and argmax takes the lowest of equals.
    return int(levels[np.argmax(num_below * (gap * gap) * num_above)])
