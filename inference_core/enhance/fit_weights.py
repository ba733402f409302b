"""The weights of an ensemble's members that make labelled images most likely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ConfigError, ShapeError

Reals = NDArray[np.float64]

TINY = 1e-12
"""Scores of the truth below count as this: a member that rules it out is wrong, but not infinitely."""
MAX_STEPS = 500
TOLERANCE = 1e-12
"""Of the mean log-likelihood, where the search ends."""


def fit_weights(scores: NDArray[np.floating], truth: NDArray[np.integer | np.bool_]) -> Reals:
    """The weights for merge ``mean`` with the least negative log-likelihood. The problem is convex: there is one best
    value, and it does not depend on where the search begins.

    Args:
        scores: (M, N, K) calibrated scores of M members.
        truth: (N,) class ids where classes compete; (N, K) bool where each is a yes or no, scores (N, 1) included.

    Returns:
        (M,) float64, none below 0, with the sum 1. A member whose weight is 0 adds nothing; leave it out.

    Raises:
        ConfigError: there is one member only, or no label.
        ShapeError: the shapes do not fit.
    """
    likelihoods = likelihoods_of(np.asarray(scores, np.float64), truth)  # (M, N)
    num_members, num_labels = likelihoods.shape
    if num_members < 2 or num_labels == 0:
        raise ConfigError(
            f"labels must be of at least one image and scores of at least two members, got {num_labels} and "
            f"{num_members}; add labels or members"
        )
    from scipy.optimize import LinearConstraint, minimize  # slow to load

    def loss(weights: Reals) -> tuple[float, Reals]:
        mixed = weights @ likelihoods  # (N,)
        return -float(np.log(mixed).mean()), -(likelihoods / mixed).mean(axis=1)

    found = minimize(
        loss,
        np.full(num_members, 1 / num_members),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * num_members,
        constraints=[LinearConstraint(np.ones((1, num_members)), 1.0, 1.0)],
        options={"maxiter": MAX_STEPS, "ftol": TOLERANCE},
    )
    weights = np.clip(found.x, 0.0, None)
    return np.asarray(weights / weights.sum())


def likelihoods_of(scores: Reals, truth: NDArray[np.integer | np.bool_]) -> Reals:
    """(M, n) what each member gave to the truth: of each image, or of each class of each image."""
    if scores.ndim != 3 or truth.shape not in (scores.shape[1:2], scores.shape[1:]):
        raise ShapeError(
            f"scores must be (M, N, K) and truth (N,) class ids or (N, K) bool, got {list(scores.shape)} and "
            f"{list(truth.shape)}"
        )
    if truth.ndim == 1:
        given = scores[:, np.arange(scores.shape[1]), truth]
    else:
        given = np.where(truth.astype(np.bool_), scores, 1 - scores).reshape(len(scores), -1)
    return np.clip(given, TINY, None)
