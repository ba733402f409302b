"""Answers for the frames of a video: all or some of them predicted, and smoothed over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from inference_core.errors import ConfigError
from inference_core.export.rows import RowBuilder
from inference_core.items import Prediction
from inference_core.models.package import ModelPackage
from inference_core.predictor import Predictor
from inference_core.records import FloatArray, Int32Array
from inference_core.results import Result
from inference_core.video.evidence import evidence_of_row
from inference_core.video.read_frames import VideoFrame
from inference_core.video.sample_frames import FrameSampler
from inference_core.video.smooth import DEFAULT_WINDOW_S, Smoothing
from inference_core.video.smooth_result import ResultSmoother

MAX_FRAMES = 16
"""Held as pixels at a time."""


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
    track_ids: Int32Array | None
    """(N,) which object each of its own is, where objects are followed."""


class VideoPredictor:
    """Answers frames in their order.

    Args:
        package: of the model. All its classes are scored, whatever its ``output.top_k``.
        predictor: of ``with_all_classes(package)``.
        frames_per_s: predict at most so many frames of each second; None for all.
        smoothing: of scores, of the classes of pixels, and of objects, which are followed.
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
        self._max_frames = max_frames
        self._rows = RowBuilder(package.spec, model_digest=package.digest)
        self._smoother = ResultSmoother(package.spec, smoothing, window_s=window_s)
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
        evidence = track_ids = None
        if prediction is not None:
            source = replace(prediction.source, frame_index=frame.frame_index, time_s=frame.time_s)
            prediction = replace(prediction, source=source)
            self._shown = None
            if prediction.result is not None:
                row = self._rows.row(prediction, row_id=frame.frame_index)
                evidence = evidence_of_row(row, task=self._spec.task, num_classes=len(self._spec.classes))
                height, width = frame.pixels.shape[:2]
                self._shown, track_ids = self._smoother.update(
                    prediction.result, evidence, time_s=frame.time_s, image_hw=(height, width)
                )
        return AnsweredFrame(
            frame=frame, prediction=prediction, evidence=evidence, shown=self._shown, track_ids=track_ids
        )


def with_all_classes(package: ModelPackage) -> ModelPackage:
    """The package with the scores of all classes in its answers."""
    if package.spec.task not in ("classification", "multilabel"):
        return package
    output = package.spec.output.model_copy(update={"top_k": len(package.spec.classes)})
    return replace(package, spec=package.spec.model_copy(update={"output": output}))


def check_rate(frames_per_s: float | None) -> None:
    """Raise ConfigError unless frames are predicted at some rate."""
    if frames_per_s is not None and not frames_per_s > 0:
        raise ConfigError(f"must be above 0, got {frames_per_s}; leave it out for all frames", key="fps")
