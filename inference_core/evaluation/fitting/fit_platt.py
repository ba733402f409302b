"""The slope and the offset of logits that make labels most likely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from inference_core.calibration_spec import PlattSpec
from inference_core.errors import ConfigError
from inference_core.evaluation.fitting.fit_temperature import DIGITS

MIN_EACH = 5
"""True labels, and untrue ones: fewer say nothing of the slope."""

Reals = NDArray[np.float64]


def fit_platt(logits: Reals, is_true: NDArray[np.bool_], *, weights: Reals | None = None, name: str = "") -> PlattSpec:
    """Fit ``sigmoid(a * logit + b)``.

    Targets are drawn in a little from 0 and 1, as the paper does, so that labels that a line divides give no infinite
    slope.

    Args:
        logits: (N,) finite.
        is_true: (N,).
        weights: (N,) how often each counts; None for once.
        name: of the class, for errors.

    Raises:
        ConfigError: too few labels are true, or untrue; or scores fall where truth rises.

    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999, section 2.2; the loss and its gradient as in
    Lin, Lin and Weng, A Note on Platt's Probabilistic Outputs, Machine Learning 68, 2007.
    """
    counted = np.ones(len(logits)) if weights is None else weights
    num_true, num_untrue = float(counted[is_true].sum()), float(counted[~is_true].sum())
    whose = f" of {name}" if name else ""
    if min(num_true, num_untrue) < MIN_EACH:
        raise ConfigError(
            f"platt{whose} must be fitted on at least {MIN_EACH} true and {MIN_EACH} untrue labels, got {num_true:g} "
            f"and {num_untrue:g}; label more images, or use temperature",
            key="--fit",
        )
    targets = np.where(is_true, (num_true + 1) / (num_true + 2), 1 / (num_untrue + 2))

    def loss(line: Reals) -> tuple[float, Reals]:
        values = line[0] * logits + line[1]
        gap = counted * (expit(values) - targets)
        size = (counted * (np.logaddexp(0, values) - targets * values)).sum()
        return float(size / counted.sum()), np.array([gap @ logits, gap.sum()]) / counted.sum()

    prior = np.log((num_true + 1) / (num_untrue + 1))
    found = minimize(loss, np.array([1.0, prior]), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-9})
    slope, offset = (round(float(value), DIGITS) for value in found.x)
    if slope <= 0:
        raise ConfigError(
            f"scores{whose} must rise with the truth, got a slope of {slope}: the model is wrong more often the surer "
            "it is; look at the labels and at the order of classes",
            key="--fit",
        )
    return PlattSpec(a=slope, b=offset)
