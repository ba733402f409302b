"""Add to a prediction what its package asks for: statistics, and the verdict on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inference_core.items import Prediction
from inference_core.quality.measure import Raw, entropy_of_labels, measure
from inference_core.quality.score_measures import Numbers
from inference_core.quality.verdict import judge, priority_of, values_of
from inference_core.quality_spec import QualitySpec
from inference_core.results import MultiLabel
from inference_core.spec import ModelSpec


class Grader:
    """Grades the predictions of one model. Holds no state; safe to share between threads.

    Args:
        spec: of the package.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._groups = spec.statistic_groups

    def grade(self, prediction: Prediction, raw: Raw) -> Prediction:
        """The prediction with its statistics and its verdict; itself where neither is asked for or it has no answer.

        Args:
            prediction: of one image.
            raw: what its answer was made of.
        """
        quality, result = self._spec.quality, prediction.result
        if result is None or (quality is None and not self._groups):
            return prediction
        numbers = measure(self._groups, result, raw, spec=self._spec, look=prediction.source.look)
        measured = replace(prediction, statistics=as_told(numbers))
        return measured if quality is None else self._judged(measured, raw, quality)

    def _judged(self, prediction: Prediction, raw: Raw, quality: QualitySpec) -> Prediction:
        """With a verdict, its reasons and the priority."""
        values = values_of(prediction)
        verdict, reasons = judge(quality, values)
        if isinstance(prediction.result, MultiLabel) and "entropy" not in values:
            values |= entropy_of_labels(raw)
        priority = priority_of(values, task=self._spec.task)
        return replace(prediction, verdict=verdict, reasons=reasons, priority=priority)


def as_told(numbers: Numbers) -> Numbers:
    """The numbers as rows hold them, so that a verdict can be checked by its row."""
    return {name: float(np.float32(value)) if isinstance(value, float) else value for name, value in numbers.items()}
