"""How wrong answers are by their verdict, and by how soon a person was told to look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.evaluation.findings import real
from inference_core.evaluation.metrics.intervals import Interval, Weights, bootstrap, wilson
from inference_core.verdict import VERDICTS

Reals = NDArray[np.float64]
ALL = "all"
COVERAGES = tuple(percent / 100 for percent in range(10, 101, 10))


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """The images of one verdict."""

    verdict: str
    """``all`` for all images."""
    num_images: int
    frac: float
    """Of all images."""
    error: float
    """Their mean error; nan of none."""
    interval: Interval | None
    """Of 95 %."""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        ends = {"low": self.interval.low, "high": self.interval.high} if self.interval else {"low": None, "high": None}
        return {
            "verdict": self.verdict,
            "num_images": self.num_images,
            "frac": real(self.frac),
            "error": real(self.error),
            **ends,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictFindings:
    """Errors among what was accepted, is to be reviewed, and was rejected."""

    error_name: str
    """What an image's error is."""
    rows: tuple[VerdictRow, ...]
    """One for each of VERDICTS, and one for all images."""
    risk_at: tuple[tuple[float, float], ...]
    """Shares of the images, those with the lowest priority first, and their mean error."""
    aurc: float
    """Area under the curve of risk and coverage; the mean error of all where priorities say nothing."""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "error": self.error_name,
            "by_verdict": [row.record() for row in self.rows],
            "risk_coverage": [{"coverage": coverage, "error": real(error)} for coverage, error in self.risk_at],
            "aurc": real(self.aurc),
        }


def evaluate_verdicts(
    errors: Reals, verdicts: Sequence[str], priorities: Reals, *, error_name: str, seed: int = 0
) -> VerdictFindings:
    """Errors by verdict, and the curve of risk and coverage that priorities give.

    Args:
        errors: (N,) in [0, 1], 0 where the answer is right.
        verdicts: N of VERDICTS.
        priorities: (N,) of the answers.
        error_name: what ``errors`` are.
        seed: of the bootstrap.

    Source: Geifman and El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017 (risk and coverage);
    Geifman et al., Bias-reduced uncertainty estimation for deep neural classifiers, ICLR 2019 (area under it).
    """
    names = np.asarray(verdicts, dtype=object)
    risks = risk_curve(errors, priorities)
    return VerdictFindings(
        error_name=error_name,
        rows=(
            *(verdict_row(name, errors[names == name], total=len(errors), seed=seed) for name in VERDICTS),
            verdict_row(ALL, errors, total=len(errors), seed=seed),
        ),
        risk_at=tuple((coverage, risks[max(1, round(coverage * len(risks))) - 1]) for coverage in COVERAGES)
        if len(risks)
        else (),
        aurc=float(risks.mean()) if len(risks) else float("nan"),
    )


def risk_curve(errors: Reals, priorities: Reals) -> Reals:
    """(N,) mean error of the n images with the lowest priority, n from 1 to N; those of equal priority share theirs."""
    values, place, counts = np.unique(priorities, return_inverse=True, return_counts=True)
    totals = np.zeros(len(values))
    np.add.at(totals, place, errors)
    spread = (totals / counts)[np.sort(place)]  # (N,) in the order of priority, each with the mean of its equals
    return np.cumsum(spread) / np.arange(1, len(errors) + 1)


def verdict_row(verdict: str, errors: Reals, *, total: int, seed: int) -> VerdictRow:
    """One verdict's images."""
    count = len(errors)
    return VerdictRow(
        verdict=verdict,
        num_images=count,
        frac=count / total if total else float("nan"),
        error=float(errors.mean()) if count else float("nan"),
        interval=error_interval(errors, seed=seed),
    )


def error_interval(errors: Reals, *, seed: int) -> Interval | None:
    """Wilson's interval where errors are a matter of right and wrong, else by drawing images; None of nothing."""
    if np.isin(errors, (0.0, 1.0)).all():
        return wilson(int(errors.sum()), len(errors))

    def mean(weights: Weights) -> dict[str, float]:
        return {"error": float(weights @ errors / weights.sum())}

    return bootstrap(mean, num_images=len(errors), seed=seed)["error"]
