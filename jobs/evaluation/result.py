"""What came of an evaluation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from inference_core.evaluation.findings import Findings, confusion_rows, real, reliability_rows
from inference_core.evaluation.fit_calibration import CalibrationFit, ScoreErrors
from inference_core.evaluation.fit_thresholds import ThresholdFit, Wanted
from inference_core.evaluation.fitting.fit_conformal import Coverage
from inference_core.evaluation.metrics.intervals import Interval
from inference_core.evaluation.of_verdicts import VerdictFindings
from inference_core.evaluation.write_back import Fitted
from inference_core.validation import plain_facts
from jobs.evaluation.labelled_run import LabelledRun

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFit:
    """A quantile of conformal sets, and what they cover of other images."""

    method: str
    wanted_frac: float
    quantile: float
    coverage: Coverage
    interval: Interval | None
    """Of the coverage."""
    accuracy: float
    """Of the best class alone, on the same images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """All that was fitted."""

    num_fitted: int
    num_measured: int
    seed: int
    calibration: CalibrationFit | None = None
    thresholds: tuple[ThresholdFit, ...] = ()
    sets: SetFit | None = None
    fitted: Fitted
    """What a copy of the package gets."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """Figures of a run, and what was fitted."""

    run: LabelledRun
    labels: str
    findings: Findings
    source: str
    """Where answers came from: ``rows`` or ``inferred again``."""
    wanted: tuple[Wanted, ...] = ()
    fit: FitResult | None = None
    verdicts: VerdictFindings | None = None
    """Where the package declares ``quality``."""

    @property
    def warnings(self) -> list[str]:
        """What speaks against taking the figures as they are."""
        told = [*warnings_of_open(self.run.num_open), *self.run.match.warnings]
        if self.run.num_failed:
            told.append(
                f"{self.run.num_failed:,} labelled images have no answer and do not count; see report/errors.csv"
            )
        return [*told, *(self.fit.warnings if self.fit else ())]

    def record(self) -> dict[str, Any]:
        """``report/evaluation.json``."""
        plan, match, findings = self.run.plan, self.run.match, self.findings
        return {
            "schema": SCHEMA,
            "run_id": plan.run_id,
            "task": plan.task,
            "model_name": plan.model_name,
            "model_digest": plan.identity["model_digest"],
            "labels": self.labels,
            "answers": self.source,
            "num_images": match.num_images,
            "num_labels": match.num_labels,
            "num_evaluated": len(self.run.image_ids),
            "num_failed": self.run.num_failed,
            "warnings": self.warnings,
            "notes": [*self.run.notes, *findings.notes],
            "figures": {figure.name: figure.record() for figure in findings.figures},
            "per_class": [dict(row) for row in findings.per_class],
            "confusion": confusion_rows(findings.confusion, plan.classes) if findings.confusion else None,
            "reliability": reliability_rows(findings.reliability) if findings.reliability else None,
            "wanted": [one.record() for one in self.wanted],
            "fit": fit_record(self.fit) if self.fit else None,
            "verdicts": self.verdicts.record() if self.verdicts else None,
        }


def warnings_of_open(num_open: int | None) -> list[str]:
    """What is to be said of images without a row yet; None where nobody knows how many there are."""
    if num_open == 0:
        return []
    count = "some" if num_open is None else f"{num_open:,}"
    return [f"the run is not finished: {count} of its images have no row yet and do not count; finish it first"]


def fit_record(fit: FitResult) -> dict[str, Any]:
    """What was fitted, as JSON."""
    calibration = fit.calibration
    return {
        "num_fitted": fit.num_fitted,
        "num_measured": fit.num_measured,
        "seed": fit.seed,
        "calibration": {
            "method": calibration.method,
            "calibration": plain_facts(calibration.calibration),
            "before": errors_record(calibration.before),
            "after": errors_record(calibration.after),
        }
        if calibration
        else None,
        "thresholds": [one.record() for one in fit.thresholds],
        "conformal": asdict(fit.sets) if fit.sets else None,
    }


def errors_record(errors: ScoreErrors) -> dict[str, Any]:
    """How wrong scores are, as JSON."""
    figures = {name: real(getattr(errors, name)) for name in ("ece", "mce", "brier", "nll")}
    return {**figures, "reliability": reliability_rows(errors.bins)}
