"""What fitting shares among the tasks: the package, plain scores, thresholds, and what a copy of the package gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference_core.evaluation.findings import Findings
from inference_core.evaluation.fit_calibration import CalibrationFit, plain_spec
from inference_core.evaluation.fit_thresholds import ALL, Sides, ThresholdFit, Wanted, fit_thresholds
from inference_core.evaluation.fitting.needed import check_enough
from inference_core.evaluation.write_back import Fitted
from inference_core.models.package import ModelPackage
from inference_core.spec import ModelSpec
from jobs.evaluation.infer_again import infer_again, load_run_package
from jobs.evaluation.labelled_run import LabelledRun
from jobs.evaluation.read_answers import class_scores_of
from jobs.evaluation.request import EvaluateRequest, FitRequest
from jobs.evaluation.result import FitResult, SetFit

Flags = NDArray[np.bool_]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What an evaluation of one task gives."""

    findings: Findings
    wanted: Sequence[Wanted] = ()
    fit: FitResult | None = None
    is_inferred: bool = False


def fit_all_thresholds(
    sides: Sequence[Sides],
    is_fitted: Flags,
    *,
    present: Sequence[Sides],
    spec: ModelSpec,
    asked: FitRequest,
    calibration: CalibrationFit | None,
    are_masks: bool = False,
) -> FitResult:
    """The best thresholds, and what a copy of the package gets.

    Args:
        sides: the curves of scores as they are with what is fitted.
        is_fitted: (N,) which images to fit on.
        present: the curves of scores as the package gives them.
        spec: of the package.
        asked: what is wanted.
        calibration: that was fitted.
        are_masks: whether labels are masks.
    """
    warning = check_enough("thresholds", int(is_fitted.sum()), are_masks=are_masks)
    found = fit_thresholds(sides, present, goal=asked.goal, output=spec.output)
    shared = next(one for one in found if one.label == ALL)
    fitted = Fitted(
        calibration=calibration.calibration if calibration and is_better(calibration) else None,
        threshold=shared.threshold,
        thresholds={one.label: one.threshold for one in found if one.label != ALL},
    )
    result = fit_result(is_fitted, asked, calibration=calibration, fitted=fitted, thresholds=found)
    return replace(result, warnings=(*result.warnings, *([warning] if warning else [])))


def fit_result(
    is_fitted: Flags,
    asked: FitRequest,
    *,
    calibration: CalibrationFit | None,
    fitted: Fitted,
    thresholds: Sequence[ThresholdFit] = (),
    sets: SetFit | None = None,
) -> FitResult:
    """All that was fitted, with its warnings."""
    warnings = list(calibration.warnings) if calibration else []
    if calibration is not None and not is_better(calibration):
        warnings.append(
            f"{calibration.method} does not lower the NLL of other images ({calibration.before.nll:.4f} before, "
            f"{calibration.after.nll:.4f} after) and is not kept"
        )
    return FitResult(
        num_fitted=int(is_fitted.sum()),
        num_measured=int((~is_fitted).sum()),
        seed=asked.seed,
        calibration=calibration,
        thresholds=tuple(thresholds),
        sets=sets,
        fitted=fitted,
        warnings=tuple(warnings),
    )


def is_better(calibration: CalibrationFit | None) -> bool:
    """Whether a calibration lowers the loss of images that it was not fitted on."""
    return calibration is not None and calibration.after.nll < calibration.before.nll


def package_of(run: LabelledRun, request: EvaluateRequest) -> ModelPackage:
    """The run's package."""
    return load_run_package(run.output, run.plan, model=request.model, trusts_code=request.trusts_code)


def infer_scores(run: LabelledRun, package: ModelPackage, *, names: Sequence[str]) -> Reals:
    """(N, K) plain scores of the labelled images, in the order of ``names``."""
    num_classes = len(run.plan.classes)
    output = package.spec.output.model_copy(update={"top_k": num_classes})
    spec = plain_spec(package.spec).model_copy(update={"output": output, "conformal": None})
    found, scores = class_scores_of(
        infer_again(run.output, run.plan, package, spec=spec, image_ids=run.truth, stages=run.stages),
        num_classes=num_classes,
    )
    places = {name: index for index, name in enumerate(found)}
    return scores[[places[name] for name in names]]
