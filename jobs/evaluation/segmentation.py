"""Evaluate a segmentation; of two classes also fit the calibration and the threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ConfigError
from inference_core.evaluation.findings import Findings
from inference_core.evaluation.fit_calibration import (
    calibrated_levels,
    check_calibration,
    fit_pixel_calibration,
    plain_spec,
)
from inference_core.evaluation.fit_thresholds import Sides, find_wanted, sides_of_pixels
from inference_core.evaluation.of_masks import MaskFold
from inference_core.items import Prediction
from inference_core.models.package import ModelPackage
from inference_core.results import Segmentation
from jobs.evaluation.fit import Evaluated, Flags, Reals, fit_all_thresholds, is_better, package_of
from jobs.evaluation.infer_again import infer_again
from jobs.evaluation.labelled_run import LabelledRun
from jobs.evaluation.read_answers import masks_of_rows
from jobs.evaluation.request import EvaluateRequest, FitRequest


def evaluate_segmentation(run: LabelledRun, request: EvaluateRequest, is_fitted: Flags | None) -> Evaluated:
    """Overlap and outlines; with two classes also calibration and the threshold."""
    classes = run.plan.classes
    fold = MaskFold(len(classes))
    package = package_of(run, request) if request.infers or is_fitted is not None else None
    if is_fitted is not None and len(classes) != 2:
        raise ConfigError(
            f"must go with two classes in segmentation, got {len(classes)}, of which the best is answered without a "
            "threshold; leave it away",
            key="--fit" if request.fit else "--precision",
        )
    if package is not None and is_fitted is not None and request.fit is not None and request.fit.method is not None:
        check_calibration(request.fit.method, package.spec, num_fitted=int(is_fitted.sum()))
    masks: Iterator[tuple[str, NDArray[np.integer]]]
    if request.infers and package is not None:
        again = infer_again(run.output, run.plan, package, spec=package.spec, image_ids=run.truth, stages=run.stages)
        masks = ((one.source.image_id, segmentation_of(one).mask) for one in again)
    else:
        masks = masks_of_rows(run)
    for name, mask in masks:
        fold.add(run.truth[name](), mask, image_id=name)
    findings = in_order_of_rows(fold.findings(classes, seed=request.seed), fold.image_ids, run.image_ids)
    if is_fitted is None or package is None:
        return Evaluated(findings=findings, is_inferred=request.infers)
    counts = count_levels(run, package)
    spec, asked = package.spec, request.fit or FitRequest(method=None)
    calibration = None
    if asked.method is not None:
        calibration = fit_pixel_calibration(counts, is_fitted, spec=spec, method=asked.method)
    used = calibration.calibration if calibration and is_better(calibration) else spec.calibration
    plain = sides_of_pixels(counts, is_fitted)
    sides, present = ([through(plain, calibrated_levels(spec, one))] for one in (used, spec.calibration))
    fit = None
    if request.fit is not None:
        fit = fit_all_thresholds(
            sides,
            is_fitted,
            present=present,
            spec=spec,
            asked=asked,
            calibration=calibration,
            are_masks=True,
        )
    return Evaluated(
        findings=findings,
        wanted=find_wanted(sides, precision=request.precision, recall=request.recall),
        fit=fit,
        is_inferred=True,
    )


def in_order_of_rows(findings: Findings, given: Sequence[str], wanted: Sequence[str]) -> Findings:
    """Findings whose errors by image stand in another order than the images were given in."""
    places = {name: index for index, name in enumerate(given)}
    assert findings.image_errors is not None, "masks give an error for each image"
    return replace(findings, image_errors=findings.image_errors[[places[name] for name in wanted]])


def through(side: Sides, levels: Reals) -> Sides:
    """The curves of pixels with their thresholds where a calibration moves them: it never changes an order."""
    parts = np.flatnonzero(levels[1:] > levels[:-1])  # where it is level nothing can be divided
    middles = np.round((levels[1:] + levels[:-1]) / 2, 6)
    fitted, measured = (
        replace(curve, thresholds=middles, lowest_scores=levels[1:]).at_places(parts)
        for curve in (side.fitted, side.measured)
    )
    return replace(side, fitted=fitted, measured=measured)


def count_levels(run: LabelledRun, package: ModelPackage) -> NDArray[np.int64]:
    """(N, 2, 256) pixels by truth and by plain score times 255, of each image in the order of ``image_ids``."""
    found = {}
    spec = plain_spec(package.spec)
    answers = infer_again(run.output, run.plan, package, spec=spec, image_ids=run.truth, stages=run.stages)
    for one in answers:
        name = one.source.image_id
        truth = run.truth[name]()
        known = (truth == 0) | (truth == 1)
        joint = truth[known].astype(np.int64) * 256 + segmentation_of(one).scores[known]
        found[name] = np.bincount(joint, minlength=512).reshape(2, 256)
    return np.stack([found[name] for name in run.image_ids])


def segmentation_of(prediction: Prediction) -> Segmentation:
    """The answer of a segmentation."""
    assert isinstance(prediction.result, Segmentation), "a segmentation that is ok has a mask"
    return prediction.result
