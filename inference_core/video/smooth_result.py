"""The answers of a video's frames, each with what was seen before in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inference_core.records import FloatArray, Int32Array
from inference_core.results import Classification, Detection, MultiLabel, Result, Segmentation
from inference_core.spec import ModelSpec
from inference_core.video.smooth import DEFAULT_WINDOW_S, MaskSmoother, ScoreSmoother, Smoothing
from inference_core.video.track_boxes import BoxTracker


class ResultSmoother:
    """Smooths results as they come: scores, the classes of pixels, and objects.

    Args:
        spec: of the model.
        method: see ``ScoreSmoother``.
        window_s: likewise.
    """

    def __init__(self, spec: ModelSpec, method: Smoothing, *, window_s: float = DEFAULT_WINDOW_S) -> None:
        self._spec, self._method, self._window_s = spec, method, window_s
        self._scores = ScoreSmoother(method, window_s=window_s)
        self._masks = MaskSmoother(method, num_classes=len(spec.classes), window_s=window_s)
        self._tracker = BoxTracker(method, window_s=window_s)
        self._image_hw = (0, 0)

    def update(
        self, result: Result, evidence: FloatArray, *, time_s: float, image_hw: tuple[int, int]
    ) -> tuple[Result, Int32Array | None]:
        """What is shown in the next frame.

        Args:
            result: of the frame, not modified.
            evidence: (K,) float32 of it.
            time_s: of the frame, not before that of the last one.
            image_hw: of the frame. Where it changes, objects and pixels are not those of before.

        Returns:
            The smoothed result, and (N,) int32 ids of the frame's own objects, None where there are none.
        """
        if self._method == "none":
            return result, None
        if image_hw != self._image_hw:
            self._image_hw, self._tracker = image_hw, BoxTracker(self._method, window_s=self._window_s)
        if isinstance(result, Detection):
            return self._tracker.update(result, time_s=time_s, image_hw=image_hw)
        if isinstance(result, Segmentation):
            mask = self._masks.update(result.mask, time_s=time_s)
            pixels = np.bincount(mask.ravel(), minlength=len(result.labels)).astype(np.int64)
            return replace(result, mask=mask, class_pixels=pixels), None
        if isinstance(result, Classification | MultiLabel):
            return rescored(result, self._scores.update(evidence, time_s=time_s), spec=self._spec), None
        return result, None


def rescored(result: Classification | MultiLabel, scores: FloatArray, *, spec: ModelSpec) -> Result:
    """A result with other scores.

    Args:
        result: not modified.
        scores: (K,) float32 of all classes.
        spec: of the model.
    """
    order = np.argsort(-scores, kind="stable").astype(np.int32)
    labels = tuple(spec.classes[index] for index in order.tolist())
    if isinstance(result, Classification):
        return replace(result, class_ids=order, scores=scores[order], labels=labels)
    least = np.array([spec.output.thresholds.get(label, spec.output.threshold) for label in spec.classes])
    shown = order[scores[order] >= least[order]]
    return replace(
        result,
        class_ids=shown,
        scores=scores[shown],
        labels=tuple(spec.classes[index] for index in shown.tolist()),
        top_class_ids=order,
        top_scores=scores[order],
        top_labels=labels,
    )
