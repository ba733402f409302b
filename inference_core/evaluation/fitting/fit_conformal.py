"""The quantile that gives conformal prediction sets their coverage, and how much they cover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ConfigError

Method = Literal["lac", "aps"]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What sets do on images that the quantile was not fitted on."""

    covered_frac: float
    """Share of images whose set holds the true class."""
    mean_size: float
    """Classes in a set."""
    empty_frac: float
    """Share of sets without any class, which only ``lac`` gives."""
    num_images: int
    num_covered: int


def nonconformity(scores: Reals, truth: NDArray[np.integer], *, method: Method) -> Reals:
    """(N,) how little the true class fits the scores.

    Args:
        scores: (N, K) of competing classes.
        truth: (N,) class ids.
        method: ``lac``: one minus the true class's score. ``aps``: the sum of the scores of the classes before the true
            one, so that a set goes on until its scores sum to the quantile.

    Source: Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers, JASA 114, 2019; Romano, Sesia and
    Candes, Classification with Valid and Adaptive Coverage, NeurIPS 2020, without its randomisation.
    """
    rows = np.arange(len(truth))
    if method == "lac":
        return np.asarray(1 - scores[rows, truth])
    order, before = ranked_sums(scores)
    return np.asarray(before[rows, np.argmax(order == truth[:, None], axis=1)])


def fit_conformal(scores: Reals, truth: NDArray[np.integer], *, method: Method, coverage_frac: float) -> float:
    """The quantile of the nonconformity of labelled images, corrected for their number.

    Args:
        scores: (N, K) of competing classes, calibrated if the package is.
        truth: (N,) class ids.
        method: of the sets.
        coverage_frac: share of sets that shall hold the true class.

    Raises:
        ConfigError: so few images cannot promise so much.

    Source: Angelopoulos and Bates, A Gentle Introduction to Conformal Prediction, 2021, section 1.1.
    """
    if not 0 < coverage_frac < 1:
        raise ConfigError(f"must lie between 0 and 1, got {coverage_frac}; 0.9 is usual", key="--coverage")
    rank = math.ceil((len(truth) + 1) * coverage_frac - 1e-9)
    if rank > len(truth):
        needed = math.ceil(coverage_frac / (1 - coverage_frac) - 1e-9)
        raise ConfigError(
            f"must be promised by at least {needed} labelled images to fit on for {coverage_frac:g}, got {len(truth)}; "
            "label more, or promise less",
            key="--coverage",
        )
    quantile = float(np.sort(nonconformity(scores, truth, method=method))[rank - 1])
    # The next larger number of six digits, so that what was covered stays covered in another arithmetic.
    larger = (math.floor(quantile * 1e6) + 1) / 1e6
    return min(larger, 1.0) if method == "lac" else larger  # at 1 every class is in, whose score may be 0


def prediction_sets(scores: Reals, *, method: Method, quantile: float) -> NDArray[np.bool_]:
    """(N, K) bool, the classes in each image's set: those whose nonconformity is below the quantile."""
    if method == "lac":
        return np.asarray(scores >= 1 - quantile)
    order, before = ranked_sums(scores)
    sets = np.zeros(scores.shape, np.bool_)
    np.put_along_axis(sets, order, before < quantile, axis=1)
    return sets


def ranked_sums(scores: Reals) -> tuple[NDArray[np.int64], Reals]:
    """(N, K) class ids, best first, and for each the sum of the scores of those before it."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    return order, np.concatenate([np.zeros((len(scores), 1)), np.cumsum(ranked, axis=1)[:, :-1]], axis=1)


def measure_coverage(scores: Reals, truth: NDArray[np.integer], *, method: Method, quantile: float) -> Coverage:
    """What sets cover of other images."""
    sets = prediction_sets(scores, method=method, quantile=quantile)
    num_covered = int(sets[np.arange(len(truth)), truth].sum())
    sizes = sets.sum(axis=1)
    return Coverage(
        covered_frac=num_covered / len(truth),
        mean_size=float(sizes.mean()),
        empty_frac=float((sizes == 0).mean()),
        num_images=len(truth),
        num_covered=num_covered,
    )
