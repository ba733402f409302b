"""Fit a calibration on some labelled images, and measure what it does to others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference_core.calibration_spec import CalibrationSpec
from inference_core.errors import ConfigError
from inference_core.evaluation.fitting.fit_isotonic import fit_isotonic
from inference_core.evaluation.fitting.fit_platt import MIN_EACH, fit_platt
from inference_core.evaluation.fitting.fit_temperature import (
    fit_label_temperature,
    fit_temperature,
    fit_temperature_by_class,
)
from inference_core.evaluation.fitting.needed import LEAST_OF_CLASS, check_enough
from inference_core.evaluation.metrics.reliability import (
    Reliability,
    brier_of_classes,
    brier_of_labels,
    nll_of_classes,
    nll_of_labels,
    reliability,
)
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import activate, build_calibration, foreground_scores, logit

Method = Literal["temperature", "temperature-by-class", "platt", "platt-by-class", "isotonic", "isotonic-by-class"]
METHODS: tuple[Method, ...] = (
    "temperature",
    "temperature-by-class",
    "platt",
    "platt-by-class",
    "isotonic",
    "isotonic-by-class",
)

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreErrors:
    """How wrong scores are."""

    ece: float
    mce: float
    brier: float
    nll: float
    bins: Reliability


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationFit:
    """A calibration, and what it does to images that it was not fitted on."""

    method: Method
    calibration: CalibrationSpec
    before: ScoreErrors
    after: ScoreErrors
    num_fitted: int
    """Images."""
    num_measured: int
    warnings: tuple[str, ...]


def plain_spec(spec: ModelSpec) -> ModelSpec:
    """The spec without a calibration, whose scores are what is fitted on."""
    return spec.model_copy(update={"calibration": CalibrationSpec()})


def reads_scores(spec: ModelSpec, calibration: CalibrationSpec) -> ModelSpec:
    """A spec that makes of a model's plain scores what ``spec`` with a calibration makes of its outputs.

    The logarithms of scores differ from logits by a constant for each image, which a softmax takes away; the logits of
    sigmoids are had back from them. So scores are enough to fit and to apply a calibration.
    """
    output = spec.output.model_copy(update={"activation": "none", "skip_classes": 0})
    if spec.task == "classification" and not spec.scores_compete:
        output = output.model_copy(update={"activation": "sigmoid"})
    return spec.model_copy(update={"output": output, "calibration": calibration})


def calibrated_scores(scores: Reals, spec: ModelSpec, calibration: CalibrationSpec) -> Reals:
    """(N, K) plain scores as the package gives them with a calibration, in float64, by the package's own code."""
    if spec.task == "classification" and not spec.scores_compete:
        scores = logit(scores)
    whole, skipped = with_rest(scores, spec)
    found = activate(whole, calibration=build_calibration(reads_scores(spec, calibration)), skipped=skipped)
    return np.asarray(found[:, skipped:], np.float64)


def with_rest(scores: Reals, spec: ModelSpec) -> tuple[Reals, int]:
    """Scores with what outputs that are no class have of the softmax in front, and how many columns that is."""
    if spec.output.skip_classes == 0 or spec.output.activation != "softmax" or spec.has_several_forwards:
        return scores, 0
    return np.concatenate([np.clip(1 - scores.sum(axis=1, keepdims=True), 1e-12, 1), scores], axis=1), 1


def log_scores(scores: Reals) -> Reals:
    """Logarithms of scores; those of 0 are large."""
    return np.asarray(np.log(np.clip(scores, np.finfo(np.float32).tiny, None)))


def fit_class_calibration(
    scores: Reals, truth: NDArray[np.int64], is_fitted: Flags, *, spec: ModelSpec, method: Method
) -> CalibrationFit:
    """Fit on competing scores of images.

    Args:
        scores: (N, K) plain scores.
        truth: (N,) class ids.
        is_fitted: (N,) which images to fit on; the others measure.
        spec: of the package.
        method: of METHODS.

    Raises:
        ConfigError: the method does not go with the task, or the images are too few.
    """
    warning = check_calibration(method, spec, num_fitted=int(is_fitted.sum()))
    whole, skipped = with_rest(scores[is_fitted], spec)
    logits, own_truth = log_scores(whole), truth[is_fitted] + skipped
    warnings = [warning] if warning else []
    if method == "temperature":
        calibration = CalibrationSpec(temperature=fit_temperature(logits, own_truth))
    else:
        shared, own = fit_temperature_by_class(logits[:, skipped:], truth[is_fitted])
        by_class = {name: own.get(k, shared) for k, name in enumerate(spec.classes)}
        calibration = CalibrationSpec(temperature=by_class)
        if len(own) < len(spec.classes):
            warnings.append(
                f"{len(spec.classes) - len(own)} of {len(spec.classes)} classes are the best of fewer than "
                f"{LEAST_OF_CLASS} images and have the temperature of all, {shared:g}"
            )
    after = calibrated_scores(scores, spec, calibration)
    return CalibrationFit(
        method=method,
        calibration=calibration,
        before=class_errors(scores[~is_fitted], truth[~is_fitted]),
        after=class_errors(after[~is_fitted], truth[~is_fitted]),
        num_fitted=int(is_fitted.sum()),
        num_measured=int((~is_fitted).sum()),
        warnings=tuple(warnings),
    )


def fit_label_calibration(
    scores: Reals, is_true: Flags, is_fitted: Flags, *, spec: ModelSpec, method: Method
) -> CalibrationFit:
    """Fit on scores that do not compete; ``is_true`` is (N, K), the rest as for ``fit_class_calibration``.

    Raises:
        ConfigError: the images are too few.
    """
    warning = check_calibration(method, spec, num_fitted=int(is_fitted.sum()))
    warnings = [warning] if warning else []
    own, true = scores[is_fitted], is_true[is_fitted]
    fit = CURVES[kind_of(method)]
    if method.endswith("by-class"):
        enough = [k for k in range(own.shape[1]) if min(true[:, k].sum(), (~true[:, k]).sum()) >= MIN_EACH]
        curves = {spec.classes[k]: fit(own[:, k], true[:, k], spec.classes[k]) for k in enough}
        if not curves:
            raise ConfigError(
                f"{method} must have a class with {MIN_EACH} true and {MIN_EACH} untrue labels to fit on, got none; "
                f"use {kind_of(method)}, or label more images",
                key="--fit",
            )
        if len(enough) < own.shape[1]:
            warnings.append(
                f"{own.shape[1] - len(enough)} of {own.shape[1]} classes have fewer than {MIN_EACH} true or untrue "
                "labels to fit on and stay as they are"
            )
        calibration = CalibrationSpec.model_validate({kind_of(method): curves})
    else:
        calibration = CalibrationSpec.model_validate({kind_of(method): fit(own.ravel(), true.ravel(), "")})
    after = calibrated_scores(scores, spec, calibration)
    return CalibrationFit(
        method=method,
        calibration=calibration,
        before=label_errors(scores[~is_fitted].ravel(), is_true[~is_fitted].ravel()),
        after=label_errors(after[~is_fitted].ravel(), is_true[~is_fitted].ravel()),
        num_fitted=int(is_fitted.sum()),
        num_measured=int((~is_fitted).sum()),
        warnings=tuple(warnings),
    )


def fit_pixel_calibration(
    counts: NDArray[np.int64], is_fitted: Flags, *, spec: ModelSpec, method: Method
) -> CalibrationFit:
    """Fit on the foreground scores of the pixels of two-class masks.

    Args:
        counts: (N, 2, 256) pixels of each image by truth and by plain score times 255.
        is_fitted: (N,) as above.
        spec: of the package.
        method: one for all classes.

    Raises:
        ConfigError: the method does not go with two classes, or the images are too few.
    """
    warning = check_calibration(method, spec, num_fitted=int(is_fitted.sum()))
    levels, is_true = np.tile(level_scores(), 2), np.repeat([False, True], 256)
    own, other = (counts[part].sum(axis=0).ravel().astype(np.float64) for part in (is_fitted, ~is_fitted))
    used = own > 0
    curve = CURVES[kind_of(method)](levels[used], is_true[used], "", own[used])
    calibration = CalibrationSpec.model_validate({kind_of(method): curve})
    after = calibrated_levels(spec, calibration)
    return CalibrationFit(
        method=method,
        calibration=calibration,
        before=label_errors(levels, is_true, weights=other),
        after=label_errors(np.tile(after, 2), is_true, weights=other),
        num_fitted=int(is_fitted.sum()),
        num_measured=int((~is_fitted).sum()),
        warnings=(warning,) if warning else (),
    )


def level_scores() -> Reals:
    """(256,) the scores that uint8 levels stand for; the outermost lie between 0, or 1, and the next."""
    return np.asarray(np.clip(np.arange(256) / 255, 0.25 / 255, 1 - 0.25 / 255))


def calibrated_levels(spec: ModelSpec, calibration: CalibrationSpec) -> Reals:
    """(256,) what a calibration makes of each level, by the package's own code."""
    made = build_calibration(spec.model_copy(update={"calibration": calibration}))
    return np.asarray(foreground_scores(level_scores(), calibration=made, is_logit=False), np.float64)


def class_errors(scores: Reals, truth: NDArray[np.int64]) -> ScoreErrors:
    """How wrong competing scores, (N, K), are."""
    bins = reliability(scores.max(axis=1), scores.argmax(axis=1) == truth)
    losses = brier_of_classes(scores, truth).mean(), nll_of_classes(scores, truth).mean()
    return ScoreErrors(ece=bins.ece, mce=bins.mce, brier=float(losses[0]), nll=float(losses[1]), bins=bins)


def label_errors(scores: Reals, is_true: Flags, *, weights: Reals | None = None) -> ScoreErrors:
    """How wrong scores are that do not compete, (N,)."""
    counted = np.ones(len(scores)) if weights is None else weights
    bins = reliability(scores, is_true, weights=counted)
    brier, nll = (float(counted @ loss(scores, is_true) / counted.sum()) for loss in (brier_of_labels, nll_of_labels))
    return ScoreErrors(ece=bins.ece, mce=bins.mce, brier=brier, nll=nll, bins=bins)


def kind_of(method: Method) -> str:
    """The key of ``calibration`` that a method gives."""
    return method.removesuffix("-by-class")


def check_calibration(method: Method, spec: ModelSpec, *, num_fitted: int) -> str:
    """Whether a calibration can be fitted; cheap, so that nothing is inferred for one that can not.

    Args:
        method: of METHODS.
        spec: of the package.
        num_fitted: labelled images to fit on.

    Returns:
        A warning where they are few, else "".

    Raises:
        ConfigError: the method does not go with the task, or the images are too few for anything.
    """
    are_masks = spec.task == "segmentation"
    allowed = METHODS[::2] if are_masks else METHODS[:2] if spec.scores_compete else METHODS
    if method not in allowed:
        raise ConfigError(
            f"must be {' or '.join(allowed)} for {spec.task} of {len(spec.classes)} classes with activation "
            f"{spec.output.activation}, got {method}; choose one of them",
            key="--method",
        )
    return check_enough(kind_of(method), num_fitted, are_masks=are_masks)


def fit_temperature_curve(scores: Reals, is_true: Flags, name: str, weights: Reals | None = None) -> float:
    """A temperature of scores that do not compete."""
    return fit_label_temperature(logit(scores), is_true, weights=weights)


def fit_platt_curve(scores: Reals, is_true: Flags, name: str, weights: Reals | None = None) -> object:
    """Slope and offset of the logits of scores."""
    return fit_platt(logit(scores), is_true, weights=weights, name=name)


def fit_isotonic_curve(scores: Reals, is_true: Flags, name: str, weights: Reals | None = None) -> object:
    """A line of straight pieces from score to score."""
    return fit_isotonic(scores, is_true, weights=weights)


CURVES: dict[str, Callable[..., object]] = {
    "temperature": fit_temperature_curve,
    "platt": fit_platt_curve,
    "isotonic": fit_isotonic_curve,
}
