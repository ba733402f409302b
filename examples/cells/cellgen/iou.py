"""Intersection over union of two cell masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def measure_iou(predicted: NDArray[Any], truth: NDArray[Any]) -> float:
    """Share of the pixels that are cell in either mask which are cell in both.

    Args:
        predicted: (H, W), 0 is background.
        truth: (H, W), 0 is background.

    Returns:
        In [0, 1]; 1 where both are empty, which is then the right answer.

    Raises:
        ValueError: the sizes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted must have the truth's size {truth.shape}, got {predicted.shape}; match them")
    union = np.count_nonzero((predicted != 0) | (truth != 0))
    return np.count_nonzero((predicted != 0) & (truth != 0)) / union if union else 1.0
