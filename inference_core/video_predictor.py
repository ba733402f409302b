"""Answers for the frames of a video: all or some of them predicted, smoothed over time, and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from inference_core.errors import ConfigError
from inference_core.export.rows import RowBuilder
from inference_core.items import Prediction
from inference_core.models.package import ModelPackage
from inference_core.predictor import Predictor
from inference_core.records import FloatArray, Uint8Array
from inference_core.results import Classification, MultiLabel, Result, Segmentation
from inference_core.video.evidence import evidence_of_row
from inference_core.video.read_frames import FrameSampler, VideoFrame
from inference_core.video.smooth import DEFAULT_WINDOW_S, MaskSmoother, ScoreSmoother, Smoothing
from inference_core.visualize.blend import ALPHA
from inference_core.visualize.caption import draw_caption
from inference_core.visualize.draw import draw_result
from inference_core.visualize.palette import DEFAULT_PALETTE, Palette

MAX_FRAMES = 16
"""Held as pixels at a time."""
CAPTION_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnsweredFrame:
    """One frame and what is known of it."""

    frame: VideoFrame
    prediction: Prediction | None
    """Its own, None where it was left out."""
    evidence: FloatArray | None
    """(K,) of its own answer, not smoothed; None where it has none."""
    shown: Result | None
    """The newest answer, smoothed: that of the frame, or of the last one that was predicted."""


class VideoPredictor:
    """Answers frames in their order.

    Args:
        package: of the model. All its classes are scored, whatever its ``output.top_k``.
        predictor: of ``with_all_classes(package)``.
        frames_per_s: predict at most so many frames of each second; None for all.
        smoothing: of scores, and of the classes of pixels; boxes stay as they are found.
        window_s: see ``ScoreSmoother``.
        max_frames: held as pixels at a time; 1 for a live source, which must not wait.
    """

    def __init__(
        self,
        package: ModelPackage,
        predictor: Predictor,
        *,
        frames_per_s: float | None = None,
        smoothing: Smoothing = "none",
        window_s: float = DEFAULT_WINDOW_S,
        max_frames: int = MAX_FRAMES,
    ) -> None:
        check_rate(frames_per_s)
        self._spec = package.spec
        self._predictor = predictor
        self._sampler = FrameSampler(frames_per_s)
        self._smoothing = smoothing
        self._max_frames = max_frames
        self._rows = RowBuilder(package.spec, model_digest=package.digest)
        self._scores = ScoreSmoother(smoothing, window_s=window_s)
        self._masks = MaskSmoother(smoothing, num_classes=len(package.spec.classes), window_s=window_s)
        self._shown: Result | None = None

    def answer(self, frames: Iterable[VideoFrame]) -> Iterator[AnsweredFrame]:
        """Every frame, with its answer or the newest one before it."""
        iterator = iter(frames)
        while chunk := list(islice(iterator, self._max_frames)):
            wanted = [frame for frame in chunk if self._sampler.wants(frame.time_s)]
            ids = [f"{frame.frame_index:06d}" for frame in wanted]
            predictions = self._predictor.predict_batch([frame.pixels for frame in wanted], image_ids=ids)
            found = dict(zip(ids, predictions, strict=True))
            for frame in chunk:
                yield self._answer_one(frame, found.get(f"{frame.frame_index:06d}"))

    def _answer_one(self, frame: VideoFrame, prediction: Prediction | None) -> AnsweredFrame:
        """One frame; its answer becomes the newest."""
        evidence = None
        if prediction is not None:
            source = replace(prediction.source, frame_index=frame.frame_index, time_s=frame.time_s)
            prediction = replace(prediction, source=source)
            self._shown = None
            if prediction.result is not None:
                row = self._rows.row(prediction, row_id=frame.frame_index)
                evidence = evidence_of_row(row, task=self._spec.task, num_classes=len(self._spec.classes))
                self._shown = self._smooth(prediction.result, evidence, time_s=frame.time_s)
        return AnsweredFrame(frame=frame, prediction=prediction, evidence=evidence, shown=self._shown)

    def _smooth(self, result: Result, evidence: FloatArray, *, time_s: float) -> Result:
        """A result with what was seen before in it."""
        if self._smoothing == "none":
            return result
        if isinstance(result, Segmentation):
            mask = self._masks.update(result.mask, time_s=time_s)
            pixels = np.bincount(mask.ravel(), minlength=len(result.labels)).astype(np.int64)
            return replace(result, mask=mask, class_pixels=pixels)
        if isinstance(result, Classification | MultiLabel):
            return self._rescored(result, self._scores.update(evidence, time_s=time_s))
        return result

    def _rescored(self, result: Classification | MultiLabel, scores: FloatArray) -> Result:
        """A result with other scores."""
        order = np.argsort(-scores, kind="stable").astype(np.int32)
        labels = tuple(self._spec.classes[index] for index in order.tolist())
        if isinstance(result, Classification):
            return replace(result, class_ids=order, scores=scores[order], labels=labels)
        output = self._spec.output
        least = np.array([output.thresholds.get(label, output.threshold) for label in self._spec.classes])
        shown = order[scores[order] >= least[order]]
        return replace(
            result,
            class_ids=shown,
            scores=scores[shown],
            labels=tuple(self._spec.classes[index] for index in shown.tolist()),
            top_class_ids=order,
            top_scores=scores[order],
            top_labels=labels,
        )


def with_all_classes(package: ModelPackage) -> ModelPackage:
    """The package with the scores of all classes in its answers."""
    if package.spec.task not in ("classification", "multilabel"):
        return package
    output = package.spec.output.model_copy(update={"top_k": len(package.spec.classes)})
    return replace(package, spec=package.spec.model_copy(update={"output": output}))


def draw_frame(answered: AnsweredFrame, *, alpha: float = ALPHA, palette: Palette = DEFAULT_PALETTE) -> Uint8Array:
    """A frame with the newest answer in it, in its own size.

    Args:
        answered: the frame.
        alpha: share of a class's colour in a pixel, in [0, 1].
        palette: colours of classes.
    """
    pixels, result = answered.frame.pixels, answered.shown
    if isinstance(result, Classification):
        pairs = zip(result.labels[:CAPTION_LINES], result.scores.tolist(), strict=False)
        return draw_caption(pixels, [f"{label}  {score:.0%}" for label, score in pairs])
    if isinstance(result, MultiLabel):
        shown = zip(result.labels, result.scores.tolist(), strict=True)
        return draw_caption(pixels, [f"{label}  {score:.0%}" for label, score in shown])
    if result is None or not hasattr(result, "labels"):
        return pixels
    return draw_result(
        pixels, result, alpha=alpha, palette=palette, has_legend=False, max_side_px=max(pixels.shape[:2])
    )


def check_rate(frames_per_s: float | None) -> None:
    """Raise ConfigError unless frames are predicted at some rate."""
    if frames_per_s is not None and not frames_per_s > 0:
        raise ConfigError(f"must be above 0, got {frames_per_s}; leave it out for all frames", key="fps")
