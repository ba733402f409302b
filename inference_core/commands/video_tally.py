"""What a video showed, folded frame by frame."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inference_core.storage import mask_secrets

if TYPE_CHECKING:
    from inference_core.spec import ModelSpec
    from inference_core.video.smooth import Smoothing
    from inference_core.video_predictor import AnsweredFrame


class VideoTally:
    """Counts and sums up what the frames of a video show.

    Args:
        spec: of the model.
        source: of the frames.
        smoothing: of the scores that are summed up.
        window_s: of the smoothing.
        threshold: from where on a class is an event; None for the usual one of the task.
        min_event_s: shorter events are left out.
    """

    def __init__(
        self,
        spec: ModelSpec,
        source: str,
        *,
        smoothing: Smoothing,
        window_s: float,
        threshold: float | None,
        min_event_s: float,
    ) -> None:
        from inference_core.video.evidence import DEFAULT_THRESHOLDS
        from inference_core.video.smooth import ScoreSmoother
        from inference_core.video.timeline import TimelineFold

        self._source = source
        self._num_frames = self._num_failed = self._num_predicted = 0
        self._smoother = ScoreSmoother(smoothing, window_s=window_s)
        least = DEFAULT_THRESHOLDS.get(spec.task, 1.0) if threshold is None else threshold
        self._has_classes = spec.task in DEFAULT_THRESHOLDS
        self._timeline = TimelineFold(spec.classes, threshold=least, min_event_s=min_event_s)

    def add(self, answered: AnsweredFrame) -> None:
        """One more frame."""
        self._num_frames += 1
        if answered.prediction is not None:
            self._num_predicted += 1
            self._num_failed += not answered.prediction.is_ok
        if answered.evidence is not None and self._has_classes:
            time_s = answered.frame.time_s
            self._timeline.add(self._smoother.update(answered.evidence, time_s=time_s), time_s=time_s)

    def report(self, *, broken: str, num_damaged: int) -> dict[str, Any]:
        """What is printed at the end.

        Args:
            broken: why the source ended before its end, "" where it did not.
            num_damaged: packets that could not be decoded.
        """
        counts = {
            "source": mask_secrets(self._source),
            "frames": self._num_frames,
            "predicted": self._num_predicted,
            "failed": self._num_failed,
            "damaged": num_damaged,
            "broken": mask_secrets(broken),
        }
        summary = asdict(self._timeline.finish())
        return counts | (summary if summary["num_frames"] else {})
