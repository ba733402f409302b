"""Evaluate a classification, and fit its calibration and its conformal sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference_core.enhance_spec import ConformalSpec
from inference_core.errors import ConfigError
from inference_core.evaluation.fit_calibration import (
    calibrated_scores,
    fit_class_calibration,
    fit_label_calibration,
)
from inference_core.evaluation.fit_thresholds import find_wanted, sides_of_best_class
from inference_core.evaluation.fitting.fit_conformal import fit_conformal, measure_coverage
from inference_core.evaluation.metrics.intervals import wilson
from inference_core.evaluation.of_classes import ClassAnswers, evaluate_classes
from inference_core.evaluation.write_back import Fitted
from inference_core.spec import ModelSpec
from jobs.evaluation.fit import Evaluated, Flags, Reals, fit_result, is_better
from jobs.evaluation.labelled_run import LabelledRun
from jobs.evaluation.read_answers import class_answers_of_rows
from jobs.evaluation.request import EvaluateRequest, FitRequest
from jobs.evaluation.result import FitResult, SetFit
from jobs.evaluation.scores_again import scores_again


def evaluate_classification(run: LabelledRun, request: EvaluateRequest, is_fitted: Flags | None) -> Evaluated:
    """Accuracy and what belongs to it; calibration and conformal sets; which answers to believe."""
    classes = run.plan.classes
    answers = class_answers_of_rows(run)
    again = scores_again(run, request, is_fitted)
    if again is not None:
        order = np.argsort(-again.calibrated, axis=1, kind="stable")
        ranked = np.take_along_axis(again.calibrated, order, axis=1)
        answers = ClassAnswers(truth=answers.truth, class_ids=order, scores=ranked)
    findings = evaluate_classes(answers, classes, seed=request.seed)
    if is_fitted is None:
        return Evaluated(findings=findings, is_inferred=again is not None)
    fit, scores = None, answers.scores[:, 0]
    if request.fit is not None and again is not None:
        fit, whole = fit_classes(again.plain, answers.truth, is_fitted, spec=again.spec, asked=request.fit)
        scores = whole.max(axis=1)  # by what is fitted, which does not change the best class
    sides = [sides_of_best_class(scores, answers.class_ids[:, 0] == answers.truth, is_fitted)]
    return Evaluated(
        findings=findings,
        wanted=find_wanted(sides, precision=request.precision, recall=request.recall, believes=True),
        fit=fit,
        is_inferred=again is not None,
    )


def fit_classes(
    plain: Reals, truth: NDArray[np.int64], is_fitted: Flags, *, spec: ModelSpec, asked: FitRequest
) -> tuple[FitResult, Reals]:
    """Calibration and conformal sets of a classification; and the scores that come of them."""
    calibration = None
    if asked.method is not None and spec.scores_compete:
        calibration = fit_class_calibration(plain, truth, is_fitted, spec=spec, method=asked.method)
    elif asked.method is not None:
        is_true = np.eye(plain.shape[1], dtype=np.bool_)[truth]
        calibration = fit_label_calibration(plain, is_true, is_fitted, spec=spec, method=asked.method)
    used = calibration if is_better(calibration) else None
    scores = calibrated_scores(plain, spec, used.calibration if used else spec.calibration)
    sets = fit_sets(scores, truth, is_fitted, spec=spec, asked=asked)
    conformal = None
    if sets is not None and asked.sets is not None:
        conformal = ConformalSpec(method=asked.sets, quantile=sets.quantile, coverage=asked.coverage_frac)
    fitted = Fitted(calibration=used.calibration if used else None, conformal=conformal)
    return fit_result(is_fitted, asked, calibration=calibration, fitted=fitted, sets=sets), scores


def fit_sets(
    scores: Reals, truth: NDArray[np.int64], is_fitted: Flags, *, spec: ModelSpec, asked: FitRequest
) -> SetFit | None:
    """The quantile of conformal sets, measured on the other images; None where none are asked for."""
    if asked.sets is None:
        return None
    if not spec.scores_compete:
        raise ConfigError("must go with classes that compete, got activation sigmoid; leave it away", key="--conformal")
    quantile = fit_conformal(scores[is_fitted], truth[is_fitted], method=asked.sets, coverage_frac=asked.coverage_frac)
    others, true = scores[~is_fitted], truth[~is_fitted]
    coverage = measure_coverage(others, true, method=asked.sets, quantile=quantile)
    return SetFit(
        method=asked.sets,
        wanted_frac=asked.coverage_frac,
        quantile=quantile,
        coverage=coverage,
        interval=wilson(coverage.num_covered, coverage.num_images),
        accuracy=float((others.argmax(axis=1) == true).mean()),
    )
