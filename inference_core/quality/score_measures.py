"""Numbers that describe the scores of a classification, a multi-label answer or a detection."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference_core.records import FloatArray

Numbers = dict[str, float | None]
"""By the name of the column; None for what an answer does not have."""


def class_margin(scores: FloatArray) -> Numbers:
    """How far the best class is before the second, of (k,) descending scores; None of a single one."""
    return {"margin": float(scores[0] - scores[1]) if len(scores) > 1 else None}


def label_margin(scores: FloatArray, thresholds: FloatArray) -> Numbers:
    """How far the score nearest to its threshold is from it.

    Args:
        scores: (K,) of all classes.
        thresholds: (K,) theirs.
    """
    return {"margin": float(np.abs(scores - thresholds).min())}


def label_entropy(scores: FloatArray) -> Numbers:
    """The mean over the classes of the entropy of shown or not, in bits: 0 is certain, 1 knows nothing.

    Args:
        scores: (K,) in [0, 1].
    """
    return {"entropy": float(binary_entropy(scores.astype(np.float64)).mean())}


def object_scores(scores: FloatArray, thresholds: FloatArray, *, near: float) -> Numbers:
    """Mean, least, spread, and how many are hardly over their threshold.

    Args:
        scores: (N,) of the objects.
        thresholds: (N,) of their classes.
        near: what counts as hardly.

    Returns:
        All None without objects.
    """
    names = ("score_mean", "score_min", "score_spread", "near_threshold_frac")
    if not len(scores):
        return dict.fromkeys(names)
    exact = scores.astype(np.float64)
    is_near = np.abs(exact - thresholds.astype(np.float64)) <= near
    values = (exact.mean(), exact.min(), exact.std(), is_near.mean())
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def class_thresholds(labels: Sequence[str], *, threshold: float, own: dict[str, float]) -> FloatArray:
    """(n,) float32 threshold of each label."""
    return np.array([own.get(label, threshold) for label in labels], np.float32)


def binary_entropy(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy in bits of an event of each probability, in [0, 1]."""
    tiny = np.finfo(np.float64).tiny
    other = 1 - probs
    entropy = -(probs * np.log(np.maximum(probs, tiny)) + other * np.log(np.maximum(other, tiny))) / math.log(2)
    return np.clip(entropy, 0.0, 1.0)
