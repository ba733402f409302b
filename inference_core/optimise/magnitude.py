"""Magnitude pruning on arrays: the smallest weights of all layers together become zero."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inference_core.records import FloatArray


def prune_smallest(weights: Mapping[str, FloatArray], *, frac: float) -> dict[str, FloatArray]:
    """Weights with the smallest magnitudes set to zero.

    Args:
        weights: by name, any shape; not modified.
        frac: share of all values together, in [0, 1]; rounded to a whole number of them. Of equal magnitudes the
            first are taken.

    Returns:
        New arrays of the same shapes and dtypes.

    Source: Han et al., Learning both Weights and Connections for Efficient Neural Networks, NeurIPS 2015; global and
    without retraining, as torch.nn.utils.prune.global_unstructured does with L1Unstructured.
    """
    if not weights:
        return {}
    magnitudes = np.concatenate([np.abs(weight).ravel() for weight in weights.values()])
    keep = np.ones(magnitudes.size, dtype=bool)
    keep[smallest(magnitudes, count=round(frac * magnitudes.size))] = False
    pruned, start = {}, 0
    for name, weight in weights.items():
        own = keep[start : start + weight.size].reshape(weight.shape)
        pruned[name] = np.where(own, weight, np.zeros((), weight.dtype))
        start += weight.size
    return pruned


def smallest(values: NDArray[np.floating], *, count: int) -> NDArray[np.intp]:
    """Positions of the ``count`` smallest of (N,) values, the first of equal ones."""
    return np.argsort(values, kind="stable")[:count]


def zeros_frac(weights: Mapping[str, FloatArray]) -> float:
    """Share of the values of all weights that are zero; 0 where there are none."""
    size = sum(weight.size for weight in weights.values())
    return 1 - sum(int(np.count_nonzero(weight)) for weight in weights.values()) / size if size else 0.0
