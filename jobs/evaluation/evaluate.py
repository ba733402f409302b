"""Hold a run's answers beside labels, and fit what can be fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from inference_core.evaluation.fitting.split import split_images
from inference_core.output_spec import TaskName
from jobs.evaluation.classification import evaluate_classification
from jobs.evaluation.detection import evaluate_detection
from jobs.evaluation.fit import Evaluated, Flags
from jobs.evaluation.labelled_run import LabelledRun, read_labelled_run
from jobs.evaluation.multilabel import evaluate_multilabel
from jobs.evaluation.request import EvaluateRequest
from jobs.evaluation.result import EvaluationResult
from jobs.evaluation.segmentation import evaluate_segmentation
from jobs.evaluation.verdicts import verdicts_of

TASKS: Mapping[TaskName, Callable[[LabelledRun, EvaluateRequest, Flags | None], Evaluated]] = MappingProxyType(
    {
        "classification": evaluate_classification,
        "multilabel": evaluate_multilabel,
        "detection": evaluate_detection,
        "segmentation": evaluate_segmentation,
    }
)


def evaluate(request: EvaluateRequest) -> EvaluationResult:
    """Evaluate a run.

    Raises:
        ConfigError: the labels or what is asked for do not go with the run, or they are too few.
        JobError: the run has nothing to evaluate.
    """
    run = read_labelled_run(request.output, labels=request.labels, class_map=request.class_map, stages=request.stages)
    is_fitted = None
    if request.fit is not None or request.precision is not None or request.recall is not None:
        asked = request.division
        is_fitted = split_images(run.image_ids, fit_frac=asked.fit_frac, seed=asked.seed)
    found = TASKS[run.plan.task](run, request, is_fitted)
    return EvaluationResult(
        run=run,
        labels=request.labels,
        findings=found.findings,
        source="inferred again" if found.is_inferred else "rows",
        wanted=tuple(found.wanted),
        fit=found.fit,
        verdicts=verdicts_of(run, found.findings, seed=request.seed),
    )
