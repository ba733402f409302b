"""Fit thresholds on some labelled images, and measure them on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inference_core.evaluation.fitting.threshold_curve import (
    CurvePoint,
    Goal,
    ThresholdCurve,
    best_point,
    point_of_precision,
    point_of_recall,
    sweep_levels,
    sweep_scores,
)
from inference_core.evaluation.metrics.boxes import IOU_50, ClassMatches
from inference_core.output_spec import OutputSpec

LEAST_TRUE = 5
"""True labels for a threshold of a class's own."""
ALL = ""
"""In the place of a class: all of them together."""

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sides:
    """The curves of the same thing on the images to fit on and on the others."""

    label: str
    """A class, ALL for all together."""
    fitted: ThresholdCurve
    measured: ThresholdCurve


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ThresholdFit:
    """A threshold, and what it does on images that it was not fitted on."""

    label: str
    goal: str
    """What it is best at; or the precision or recall that is wanted."""
    threshold: float
    measured: CurvePoint
    """On the other images."""
    present_threshold: float
    """Of the package."""
    present: CurvePoint
    """What that does on the same images."""
    curve: ThresholdCurve
    """Of the fitting side."""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        names = ("thresholds", "precision", "recall", "f1", "iou", "answered_frac")
        thin = self.curve.thinned()
        return {
            "label": self.label or None,
            "goal": self.goal,
            "threshold": self.threshold,
            "measured": point_record(self.measured),
            "present_threshold": self.present_threshold,
            "present": point_record(self.present),
            "curve": {name: np.round(getattr(thin, name), 5).tolist() for name in names},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The threshold for a wanted precision or recall, and the work that it leaves to people."""

    kind: Literal["precision", "recall"]
    label: str
    wanted: float
    threshold: float | None
    """None where no threshold has it."""
    measured: CurvePoint | None
    """On the other images."""
    review_frac: float | None
    """Share of the cases that someone has to look at."""
    is_above: bool
    """Whether these are those from the threshold on, among which the true ones are; else those below it, which are not
    to be believed."""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "kind": self.kind,
            "label": self.label or None,
            "wanted": self.wanted,
            "threshold": self.threshold,
            "measured": point_record(self.measured) if self.measured else None,
            "review_frac": self.review_frac,
            "review": "from the threshold on" if self.is_above else "below the threshold",
        }


def point_record(point: CurvePoint) -> dict[str, float]:
    """A point of a curve as JSON."""
    names = ("threshold", "precision", "recall", "f1", "iou", "answered_frac")
    return {name: getattr(point, name) for name in names}


def sides_of_best_class(scores: Reals, is_right: Flags, is_fitted: Flags) -> Sides:
    """Of a classification: which best answers to believe. (N,) scores of the best class, and whether it is right.

    Recall is the share of the right answers that are believed.
    """
    fitted, measured = (sweep_scores(scores[part], is_right[part]) for part in (is_fitted, ~is_fitted))
    return Sides(label=ALL, fitted=fitted, measured=measured)


def sides_of_labels(scores: Reals, is_true: Flags, is_fitted: Flags, *, classes: Sequence[str]) -> list[Sides]:
    """Of multi-label answers: all classes together, then each that is true of LEAST_TRUE images to fit on."""
    every = [
        (ALL, scores.ravel(), is_true.ravel(), np.repeat(is_fitted, scores.shape[1])),
        *((name, scores[:, k], is_true[:, k], is_fitted) for k, name in enumerate(classes)),
    ]
    return [
        Sides(
            label=name,
            fitted=sweep_scores(values[part], true[part]),
            measured=sweep_scores(values[~part], true[~part]),
        )
        for name, values, true, part in every
        if name == ALL or true[part].sum() >= LEAST_TRUE
    ]


def sides_of_boxes(matches: Sequence[ClassMatches], is_fitted: Flags, *, classes: Sequence[str]) -> list[Sides]:
    """Of boxes at an overlap of 0.5: all classes together, then each with LEAST_TRUE labelled ones to fit on."""
    found = []
    for name, chosen in [(ALL, list(matches)), *((name, [one]) for name, one in zip(classes, matches, strict=True))]:
        curves, nums = [], []
        for part in (is_fitted, ~is_fitted):
            kept = [part[one.images] & ~one.is_ignored[IOU_50] for one in chosen]
            scores = np.concatenate([one.scores[k] for one, k in zip(chosen, kept, strict=True)])
            right = np.concatenate([one.is_right[IOU_50][k] for one, k in zip(chosen, kept, strict=True)])
            num_true = sum(int(one.num_true[part].sum()) for one in chosen)
            nums.append(num_true)
            curves.append(sweep_scores(scores, right, num_true=num_true) if len(scores) else None)
        fitted, measured = curves
        if fitted is not None and measured is not None and (name == ALL or nums[0] >= LEAST_TRUE):
            found.append(Sides(label=name, fitted=fitted, measured=measured))
    return found


def sides_of_pixels(counts: NDArray[np.int64], is_fitted: Flags) -> Sides:
    """Of two-class masks: (N, 2, 256) pixels of each image by truth and level."""
    fitted, measured = (sweep_levels(counts[part].sum(axis=0)) for part in (is_fitted, ~is_fitted))
    return Sides(label=ALL, fitted=fitted, measured=measured)


def fit_thresholds(
    sides: Sequence[Sides], present: Sequence[Sides], *, goal: Goal, output: OutputSpec
) -> list[ThresholdFit]:
    """The best threshold of each side, measured on the other.

    Args:
        sides: of all classes together, and of single ones; of scores as they are with what is fitted.
        present: the same of scores as the package gives them.
        goal: figure to make largest.
        output: the package's, with its present thresholds.
    """
    found = []
    for side, before in zip(sides, present, strict=True):
        best = best_point(side.fitted, goal=goal)
        now = output.thresholds.get(side.label, output.threshold)
        found.append(
            ThresholdFit(
                label=side.label,
                goal=goal,
                threshold=best.threshold,
                measured=side.measured.at(best.threshold),
                present_threshold=now,
                present=before.measured.at(now),
                curve=side.fitted,
            )
        )
    return found


def find_wanted(
    sides: Sequence[Sides], *, precision: float | None, recall: float | None, believes: bool = False
) -> list[Wanted]:
    """The thresholds for a wanted precision and a wanted recall, measured on the other side.

    Args:
        sides: the curves.
        precision: wanted; None for none.
        recall: likewise.
        believes: whether what reaches a threshold is believed in any case, as the class of an image is; else what
            reaches one for a wanted recall is what someone looks at.
    """
    found = []
    for side in sides:
        for kind, wanted, find in (
            ("precision", precision, point_of_precision),
            ("recall", recall, point_of_recall),
        ):
            if wanted is None:
                continue
            point = find(side.fitted, wanted)
            measured = side.measured.at(point.threshold) if point else None
            load = None
            if measured is not None:
                looks_above = kind == "recall" and not believes
                load = measured.answered_frac if looks_above else 1 - measured.answered_frac
            found.append(
                Wanted(
                    kind="precision" if kind == "precision" else "recall",
                    label=side.label,
                    wanted=wanted,
                    threshold=point.threshold if point else None,
                    measured=measured,
                    review_frac=load,
                    is_above=kind == "recall" and not believes,
                )
            )
    return found
