"""What each threshold would give, and which one is wanted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Goal = Literal["f1", "dice", "iou", "precision", "recall"]
GOALS: tuple[Goal, ...] = ("f1", "dice", "iou", "precision", "recall")
MAX_POINTS = 200
"""Of a curve that is kept."""
DIGITS = 4
"""Of a threshold: it is a setting that people read."""

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdCurve:
    """Figures by threshold, from the lowest one up; what reaches the threshold is answered."""

    thresholds: Reals
    """(n,) rising, between 0 and 1."""
    lowest_scores: Reals
    """(n,) the lowest score that is answered at each; infinite where none is."""
    precision: Reals
    """(n,) share of the answers that are right; 1 where nothing is answered."""
    recall: Reals
    """(n,) share of what is true that is answered."""
    f1: Reals
    """(n,)"""
    iou: Reals
    """(n,) right answers over all that is true or answered."""
    answered_frac: Reals
    """(n,) share of all cases that reach the threshold."""

    @property
    def dice(self) -> Reals:
        """(n,) F1 by its name for pixels."""
        return self.f1

    def at(self, threshold: float) -> CurvePoint:
        """The figures at any threshold: between two scores they do not change."""
        index = int(np.searchsorted(self.lowest_scores, threshold, side="left"))
        if index == len(self.thresholds):
            return CurvePoint(threshold=threshold, precision=1.0, recall=0.0, f1=0.0, iou=0.0, answered_frac=0.0)
        return replace(self.point(index), threshold=threshold)

    def point(self, index: int) -> CurvePoint:
        """The figures at one place of the curve."""
        figures = {
            name: float(getattr(self, name)[index]) for name in ("precision", "recall", "f1", "iou", "answered_frac")
        }
        return CurvePoint(threshold=float(self.thresholds[index]), **figures)

    def thinned(self) -> ThresholdCurve:
        """The curve at no more than MAX_POINTS thresholds, evenly spread over its points."""
        count = len(self.thresholds)
        return self.at_places(np.unique(np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(np.int64)))

    def at_places(self, places: NDArray[np.int64]) -> ThresholdCurve:
        """The curve at some of its points alone."""
        names = ("thresholds", "lowest_scores", "precision", "recall", "f1", "iou", "answered_frac")
        return ThresholdCurve(**{name: getattr(self, name)[places] for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """What one threshold gives."""

    threshold: float
    precision: float
    recall: float
    f1: float
    iou: float
    answered_frac: float


def sweep_scores(
    scores: Reals, is_right: NDArray[np.bool_], *, num_true: float | None = None, num_cases: int | None = None
) -> ThresholdCurve:
    """The curve of single answers: labels of images, boxes, best classes.

    Args:
        scores: (N,) in [0, 1], one at least.
        is_right: (N,) whether the answer is right if it is given.
        num_true: how much is true; None where it is all that is right, so that everything true has a score.
        num_cases: of which ``answered_frac`` is a share; None for N.

    Returns:
        A threshold between any two neighbouring scores, and one below the lowest.
    """
    values, places = np.unique(scores, return_inverse=True)  # rising
    right = np.bincount(places, weights=is_right.astype(np.float64))
    every = np.bincount(places).astype(np.float64)
    middles = (values + np.concatenate([[0.0], values[:-1]])) / 2
    thresholds = np.unique(np.clip(np.round(middles, DIGITS), 10**-DIGITS, 1 - 10**-DIGITS))
    # Rounding may put a threshold on the other side of a score: what it answers is counted with the rounded one.
    starts = np.searchsorted(values, thresholds, side="left")
    right_above = np.append(np.cumsum(right[::-1])[::-1], 0.0)[starts]
    all_above = np.append(np.cumsum(every[::-1])[::-1], 0.0)[starts]
    true = float(right.sum()) if num_true is None else num_true
    lowest = np.append(values, np.inf)[starts]
    return curve_of(
        thresholds, lowest, right_above, all_above, num_true=true, num_cases=float(num_cases or len(scores))
    )


def sweep_levels(counts: NDArray[np.number]) -> ThresholdCurve:
    """The curve of pixels.

    Args:
        counts: (2, 256) pixels by truth and by the foreground's score times 255.

    Returns:
        255 thresholds, each halfway between two levels.
    """
    above = np.cumsum(counts[:, ::-1].astype(np.float64), axis=1)[:, ::-1][:, 1:]  # (2, 255) that reach level 1, 2, ...
    return curve_of(
        level_thresholds(),
        np.arange(1, 256) / 255,
        above[1],
        above.sum(axis=0),
        num_true=float(counts[1].sum()),
        num_cases=float(counts.sum()),
    )


def level_thresholds() -> Reals:
    """(255,) the thresholds between the levels of uint8 scores."""
    return np.round((np.arange(1, 256) - 0.5) / 255, DIGITS)


def curve_of(
    thresholds: Reals, lowest: Reals, right: Reals, answered: Reals, *, num_true: float, num_cases: float
) -> ThresholdCurve:
    """The figures of counts at each threshold."""
    return ThresholdCurve(
        thresholds=thresholds,
        lowest_scores=lowest,
        precision=np.where(answered > 0, right / np.maximum(answered, 1), 1.0),
        recall=right / num_true if num_true else np.ones(len(right)),
        f1=2 * right / np.maximum(answered + num_true, 1),
        iou=right / np.maximum(answered + num_true - right, 1),
        answered_frac=answered / num_cases,
    )


def best_point(curve: ThresholdCurve, *, goal: Goal) -> CurvePoint:
    """The threshold with the largest figure; of a run of equally good ones the middle."""
    figures = getattr(curve, goal)
    best = np.flatnonzero(figures >= figures.max() - 1e-12)
    run = best[: int(np.argmax(np.append(np.diff(best) > 1, True))) + 1]
    return curve.point(int(run[len(run) // 2]))


def point_of_precision(curve: ThresholdCurve, wanted: float) -> CurvePoint | None:
    """The threshold with the largest recall among those with at least a wanted precision; None where none has it."""
    reached = np.flatnonzero((curve.precision >= wanted) & (curve.answered_frac > 0))
    if not len(reached):
        return None
    best = reached[curve.recall[reached] == curve.recall[reached].max()]
    return curve.point(int(best[-1]))


def point_of_recall(curve: ThresholdCurve, wanted: float) -> CurvePoint | None:
    """The threshold with the largest precision among those with at least a wanted recall; None where none has it."""
    reached = np.flatnonzero(curve.recall >= wanted)
    if not len(reached):
        return None
    best = reached[curve.precision[reached] == curve.precision[reached].max()]
    return curve.point(int(best[-1]))
