"""Evaluate a detection, and fit its thresholds."""

from __future__ import annotations

from inference_core.errors import ConfigError
from inference_core.evaluation.fit_thresholds import find_wanted, sides_of_boxes
from inference_core.evaluation.of_boxes import evaluate_boxes
from jobs.evaluation.fit import Evaluated, Flags, fit_all_thresholds, package_of
from jobs.evaluation.labelled_run import LabelledRun
from jobs.evaluation.read_answers import box_answers_of_rows
from jobs.evaluation.request import EvaluateRequest


def evaluate_detection(run: LabelledRun, request: EvaluateRequest, is_fitted: Flags | None) -> Evaluated:
    """COCO's average precision; thresholds of the boxes that rows keep."""
    if request.infers:
        raise ConfigError(
            "must be left away with task detection, whose rows keep all boxes over the threshold", key="--infer"
        )
    _, truth, found, sizes = box_answers_of_rows(run)
    findings, matches = evaluate_boxes(truth, found, run.plan.classes, image_hw=sizes, seed=request.seed)
    if is_fitted is None:
        return Evaluated(findings=findings)
    sides = sides_of_boxes(matches, is_fitted, classes=run.plan.classes)
    if not sides:
        raise ConfigError(
            "must be fitted on boxes, got none on one side of the division; label more images", key="--fit"
        )
    fit = None
    if request.fit is not None:
        spec = package_of(run, request).spec
        fit = fit_all_thresholds(sides, is_fitted, present=sides, spec=spec, asked=request.fit, calibration=None)
    wanted = find_wanted(sides, precision=request.precision, recall=request.recall)
    return Evaluated(findings=findings, wanted=wanted, fit=fit)
