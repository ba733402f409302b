"""Evaluate a multi-label classification, and fit its calibration and its thresholds."""

from __future__ import annotations

from dataclasses import replace

from inference_core.evaluation.fit_calibration import calibrated_scores, fit_label_calibration
from inference_core.evaluation.fit_thresholds import find_wanted, sides_of_labels
from inference_core.evaluation.of_label_sets import evaluate_label_sets
from jobs.evaluation.fit import Evaluated, Flags, fit_all_thresholds, is_better
from jobs.evaluation.labelled_run import LabelledRun
from jobs.evaluation.read_answers import label_set_answers_of_rows
from jobs.evaluation.request import EvaluateRequest
from jobs.evaluation.scores_again import scores_again


def evaluate_multilabel(run: LabelledRun, request: EvaluateRequest, is_fitted: Flags | None) -> Evaluated:
    """Mean average precision, F1; calibration and thresholds."""
    classes = run.plan.classes
    answers = label_set_answers_of_rows(run)
    again = scores_again(run, request, is_fitted)
    if again is not None:
        answers = replace(answers, scores=again.calibrated, num_known=len(classes))
    findings = evaluate_label_sets(answers, classes, seed=request.seed)
    if is_fitted is None:
        return Evaluated(findings=findings, is_inferred=again is not None)
    calibration, scores = None, answers.scores
    if request.fit is not None and again is not None and request.fit.method is not None:
        calibration = fit_label_calibration(
            again.plain, answers.is_true, is_fitted, spec=again.spec, method=request.fit.method
        )
        if is_better(calibration):
            scores = calibrated_scores(again.plain, again.spec, calibration.calibration)
    sides = sides_of_labels(scores, answers.is_true, is_fitted, classes=classes)
    fit = None
    if request.fit is not None and again is not None:
        present = sides_of_labels(answers.scores, answers.is_true, is_fitted, classes=classes)
        fit = fit_all_thresholds(
            sides, is_fitted, present=present, spec=again.spec, asked=request.fit, calibration=calibration
        )
    return Evaluated(
        findings=findings,
        wanted=find_wanted(sides, precision=request.precision, recall=request.recall),
        fit=fit,
        is_inferred=again is not None,
    )
