"""What an evaluation found, as it is shown and stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inference_core.evaluation.metrics.confusion import Confusion
from inference_core.evaluation.metrics.intervals import Interval
from inference_core.evaluation.metrics.reliability import Reliability

Way = Literal["wilson", "bootstrap", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number, and how far it may be off."""

    name: str
    value: float
    """nan where there was nothing to measure."""
    interval: Interval | None = None
    """Of 95 %."""
    way: Way = ""
    """How the interval was found."""

    def record(self) -> dict[str, Any]:
        """As JSON; null for what is not known."""
        ends = {"low": self.interval.low, "high": self.interval.high} if self.interval else {"low": None, "high": None}
        return {"value": real(self.value), **ends, "interval": self.way or None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """The figures of answers beside their labels."""

    figures: tuple[Figure, ...]
    per_class: tuple[Mapping[str, Any], ...] = ()
    """Rows of a table with the same columns."""
    confusion: Confusion | None = None
    """Where there is one class for each answer."""
    reliability: Reliability | None = None
    notes: tuple[str, ...] = ()
    """What the figures do not hold, and why."""
    image_errors: NDArray[np.float64] | None = None
    """(N,) how wrong the answer to each image is, in [0, 1], in the order in which they were given."""
    error_name: str = ""
    """What an image's error is."""

    def __getitem__(self, name: str) -> float:
        """The value of a figure."""
        return next(figure.value for figure in self.figures if figure.name == name)


def figures_with(
    values: Mapping[str, float], intervals: Mapping[str, Interval], *, way: Way = "bootstrap"
) -> tuple[Figure, ...]:
    """Figures with those intervals that there are."""
    return tuple(
        Figure(name=name, value=value, interval=intervals.get(name), way=way if name in intervals else "")
        for name, value in values.items()
    )


def real(value: float | None) -> float | None:
    """A number that JSON can hold, None for nan."""
    return None if value is None or math.isnan(value) else float(value)


def reliability_rows(found: Reliability) -> list[dict[str, float]]:
    """The bins of a reliability diagram that hold anything."""
    edges = np.linspace(0, 1, len(found.counts) + 1)
    return [
        {
            "low": float(edges[index]),
            "high": float(edges[index + 1]),
            "count": float(found.counts[index]),
            "score_mean": float(found.score_means[index]),
            "right_frac": float(found.right_fracs[index]),
        }
        for index in np.flatnonzero(found.counts).tolist()
    ]


def confusion_rows(confusion: Confusion, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Pairs of true and answered class that occur, with their number."""
    triples = zip(confusion.true.tolist(), confusion.found.tolist(), confusion.counts.tolist(), strict=True)
    return [{"true": labels[true], "answered": labels[found], "count": count} for true, found, count in triples]
