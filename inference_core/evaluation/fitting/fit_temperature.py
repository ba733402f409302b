"""The temperature that makes labels most likely."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax

from inference_core.evaluation.fitting.needed import LEAST_OF_CLASS
from inference_core.evaluation.metrics.reliability import nll_of_labels

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""Beyond these a model is no better than chance, or there is no mistake among the labels to learn from."""
DIGITS = 4
"""Kept of a result: images tell no more."""

Reals = NDArray[np.float64]


def fit_temperature(logits: Reals, truth: NDArray[np.integer]) -> float:
    """The temperature of competing classes with the least negative log-likelihood.

    Args:
        logits: (N, K), or logarithms of scores, which differ from them by a constant for each row.
        truth: (N,) class ids.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean())

    return best_temperature(loss)


def fit_temperature_by_class(logits: Reals, truth: NDArray[np.integer]) -> tuple[float, dict[int, float]]:
    """One temperature for each class that is often the best, and the one of all for the others.

    Returns:
        That of all; and by class id those of classes that are the best of LEAST_OF_CLASS images or more.
    """
    best = logits.argmax(axis=1)
    common = np.flatnonzero(np.bincount(best) >= LEAST_OF_CLASS)
    own = {int(k): fit_temperature(logits[best == k], truth[best == k]) for k in common}
    return fit_temperature(logits, truth), own


def fit_label_temperature(logits: Reals, is_true: NDArray[np.bool_], *, weights: Reals | None = None) -> float:
    """The temperature of scores that do not compete.

    Args:
        logits: (N,).
        is_true: (N,).
        weights: (N,) how often each counts; None for once.
    """
    counted = np.ones(len(logits)) if weights is None else weights

    def loss(temperature: float) -> float:
        return float((counted * nll_of_labels(expit(logits / temperature), is_true)).sum() / counted.sum())

    return best_temperature(loss)


def best_temperature(loss: Callable[[float], float]) -> float:
    """Where a loss of the temperature is least. It has one valley in 1 / temperature, so the search is in that."""
    ends = (1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE)
    found = minimize_scalar(lambda inverse: loss(1 / inverse), bounds=ends, method="bounded", options={"xatol": 1e-6})
    return round(float(1 / found.x), DIGITS)
