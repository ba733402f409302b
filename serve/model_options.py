"""What a caller may ask of one model: which options mean something, and what they change after the fact."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.enhance.override import fewest_views, num_views
from inference_core.finisher import Finisher
from inference_core.items import Prediction, RawItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_finisher
from inference_core.results import Classification, Detection, MultiLabel, Result, Segmentation
from inference_core.spec import ModelSpec
from serve.answers import Options
from serve.errors import InvalidRequestError

MAX_FINISHERS = 32
"""Thresholds whose finishers are kept."""
TOP_K_TASKS = ("classification", "multilabel")
PROBABILITY_TASKS = ("classification", "multilabel", "segmentation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of one option of one model."""

    default: float
    least: float
    most: float

    def check(self, name: str, value: float) -> None:
        """Raise InvalidRequestError for a value outside, NaN included."""
        if not self.least <= value <= self.most:
            raise InvalidRequestError(
                f"{name} must be from {self.least:g} to {self.most:g} for this model, got {value:g}; correct it, or "
                "leave it out"
            )


def option_bounds(spec: ModelSpec) -> dict[str, Bounds]:
    """The numbers that mean something for a model."""
    output, bounds = spec.output, {}
    if spec.task in TOP_K_TASKS:
        most = min(output.top_k, len(spec.classes))
        bounds["top_k"] = Bounds(default=most, least=1, most=most)
    if spec.task == "multilabel" or spec.is_binary:
        bounds["threshold"] = Bounds(default=output.threshold, least=0.0, most=1.0)
    if spec.task == "detection":
        least = min([output.threshold, *output.thresholds.values()])
        bounds["threshold"] = Bounds(default=output.threshold, least=least, most=1.0)
    least, most = fewest_views(spec), num_views(spec)
    if least < most:
        bounds["views"] = Bounds(default=most, least=least, most=most)
    return bounds


def describe_options(spec: ModelSpec) -> dict[str, Any]:
    """Which options mean something, by the names that requests use, each with its default and bounds."""
    found: dict[str, Any] = {
        name: {"default": bounds.default, "minimum": bounds.least, "maximum": bounds.most}
        for name, bounds in option_bounds(spec).items()
    }
    if spec.task in PROBABILITY_TASKS:
        found["probabilities"] = {"default": False}
    if spec.task == "segmentation":
        found["mask"] = {"default": False}
    if spec.uncertainty is not None:
        found["uncertainty"] = {"default": False}
    return found


class ModelOptions:
    """Checks options and applies them. Safe to share between threads.

    Args:
        package: its spec says what is possible; weights are not read.
    """

    def __init__(self, package: ModelPackage) -> None:
        self._package = package
        self._bounds = option_bounds(package.spec)
        self._known = describe_options(package.spec)
        self._finisher = build_finisher(package)
        self._finishers: OrderedDict[float, Finisher] = OrderedDict()
        self._lock = Lock()

    def check(self, options: Options) -> None:
        """Raise InvalidRequestError for an option that this model has not, or a value out of its bounds."""
        for name in ("top_k", "threshold", "views"):
            value = getattr(options, name)
            if value is None:
                continue
            self._check_known(name)
            self._bounds[name].check(name, value)
        if options.with_probabilities:
            self._check_known("probabilities")
        if options.with_mask:
            self._check_known("mask")
        if options.with_uncertainty:
            self._check_known("uncertainty")

    def finish(self, item: RawItem, options: Options) -> Prediction:
        """The prediction with the options applied."""
        finisher = self._finisher_of(options)
        prediction = finisher.finish(item)
        if prediction.result is None:
            return prediction
        result = narrow(prediction.result, options)
        if result is prediction.result:
            return prediction
        narrowed = replace(prediction, result=result)
        # Fewer boxes are another answer; fewer classes are the same one, shown in part.
        return finisher.regrade(narrowed, item) if isinstance(result, Detection) else narrowed

    def probabilities(self, result: Result, item: RawItem) -> Mapping[str, NDArray[Any]]:
        """The scores behind a result, see ``probability_arrays``."""
        return probability_arrays(result, self._finisher.joined(item) if isinstance(result, MultiLabel) else item)

    def _check_known(self, name: str) -> None:
        if name not in self._known:
            known = ", ".join(self._known) or "none"
            raise InvalidRequestError(
                f"{name} must be absent for a model of task {self._package.spec.task}, whose options are: {known}; "
                "leave it out"
            )

    def _finisher_of(self, options: Options) -> Finisher:
        """The package's own, or one with another threshold where finishing decides by it."""
        threshold = options.threshold
        if threshold is None or self._package.spec.task == "detection":
            return self._finisher
        with self._lock:
            found = self._finishers.get(threshold) or build_finisher(with_threshold(self._package, threshold))
            self._finishers[threshold] = found
            self._finishers.move_to_end(threshold)
            if len(self._finishers) > MAX_FINISHERS:
                self._finishers.popitem(last=False)
        return found


def with_threshold(package: ModelPackage, threshold: float) -> ModelPackage:
    """A package that decides by another threshold, for all classes; its digest stays that of the model."""
    output = package.spec.output.model_copy(update={"threshold": threshold, "thresholds": {}})
    return replace(package, spec=package.spec.model_copy(update={"output": output}))


def narrow(result: Result, options: Options) -> Result:
    """A result with fewer classes or boxes, the same object where nothing is left out."""
    top_k = options.top_k
    if isinstance(result, Detection) and options.threshold is not None:
        return result.where(result.scores >= np.float32(options.threshold))
    if isinstance(result, Classification) and top_k is not None and top_k < len(result.class_ids):
        return replace(
            result, class_ids=result.class_ids[:top_k], scores=result.scores[:top_k], labels=result.labels[:top_k]
        )
    if isinstance(result, MultiLabel) and top_k is not None and top_k < len(result.top_class_ids):
        return replace(
            result,
            top_class_ids=result.top_class_ids[:top_k],
            top_scores=result.top_scores[:top_k],
            top_labels=result.top_labels[:top_k],
        )
    return result


def probability_arrays(result: Result, item: RawItem) -> Mapping[str, NDArray[Any]]:
    """The scores behind a result.

    Returns:
        Segmentation: ``score_map`` (H, W) uint8. Classification: ``class_ids`` (k,) int32 and ``probabilities`` (k,)
        float32 of the classes shown; multi-label: likewise of all classes, best first. Nothing for other tasks.
    """
    if isinstance(result, Segmentation):
        return {"score_map": result.scores}
    if isinstance(result, Classification):
        return {"class_ids": result.class_ids, "probabilities": result.scores}
    if isinstance(result, MultiLabel) and item.raw is not None:
        return {
            "class_ids": np.asarray(item.raw["class_ids"][0], np.int32),
            "probabilities": np.asarray(item.raw["scores"][0], np.float32),
        }
    return {}
