"""The scores of all classes of labelled images, inferred again where rows do not keep enough."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.evaluation.fit_calibration import calibrated_scores, check_calibration
from inference_core.spec import ModelSpec
from jobs.evaluation.fit import Flags, Reals, infer_scores, package_of
from jobs.evaluation.labelled_run import LabelledRun
from jobs.evaluation.request import EvaluateRequest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoresAgain:
    """What the run's package says of the labelled images."""

    spec: ModelSpec
    plain: Reals
    """(N, K) without its calibration: what one is fitted on."""
    calibrated: Reals
    """(N, K) as rows have them."""


def scores_again(run: LabelledRun, request: EvaluateRequest, is_fitted: Flags | None) -> ScoresAgain | None:
    """All scores of all labelled images; None where the rows are enough for what is asked.

    Raises:
        ConfigError: what is to be fitted can not be, which is found before anything is inferred.
    """
    if not request.infers and request.fit is None:
        return None
    package = package_of(run, request)
    if request.fit is not None and request.fit.method is not None and is_fitted is not None:
        check_calibration(request.fit.method, package.spec, num_fitted=int(is_fitted.sum()))
    plain = infer_scores(run, package, names=run.image_ids)
    calibrated = calibrated_scores(plain, package.spec, package.spec.calibration)
    return ScoresAgain(spec=package.spec, plain=plain, calibrated=calibrated)
