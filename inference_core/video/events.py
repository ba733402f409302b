"""The times in which classes show in a video, found frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference_core.records import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEvent:
    """A time in which a class shows without a break."""

    label: str
    start_s: float
    """Of its first frame."""
    end_s: float
    """When its last frame ends."""
    num_frames: int
    score_mean: float
    score_max: float
    peak_s: float
    """Time of the frame with the highest score."""


@dataclass(slots=True, kw_only=True)
class OpenEvent:
    """An event that may go on."""

    start_s: float
    end_s: float = 0.0
    num_frames: int = 0
    score_sum: float = 0.0
    score_max: float = 0.0
    peak_s: float = 0.0

    def add(self, score: float, *, start_s: float, end_s: float) -> None:
        """One more frame."""
        self.end_s = end_s
        self.num_frames += 1
        self.score_sum += score
        if score > self.score_max:
            self.score_max, self.peak_s = score, start_s


class EventFold:
    """Finds events as frames come.

    Args:
        class_names: (K,).
        threshold: a class shows in a frame from this evidence on, and above 0.
        min_event_s: shorter events are left out.
    """

    def __init__(self, class_names: Sequence[str], *, threshold: float, min_event_s: float = 0.0) -> None:
        self._names, self._threshold, self._min_event_s = class_names, threshold, min_event_s
        self._open: dict[int, OpenEvent] = {}
        self._closed: list[tuple[float, int, VideoEvent]] = []

    def add(self, evidence: FloatArray, *, start_s: float, end_s: float) -> None:
        """One more frame and the time in which it is shown.

        Args:
            evidence: (K,) float32, not modified.
            start_s: of the frame.
            end_s: likewise.
        """
        showing = np.flatnonzero((evidence >= self._threshold) & (evidence > 0)).tolist()
        for class_id in self._open.keys() - set(showing):
            self._close(class_id)
        for class_id in showing:
            event = self._open.setdefault(class_id, OpenEvent(start_s=start_s))
            event.add(float(evidence[class_id]), start_s=start_s, end_s=end_s)

    def finish(self) -> tuple[VideoEvent, ...]:
        """All events by start, then by class; call it once, behind the last frame."""
        for class_id in list(self._open):
            self._close(class_id)
        return tuple(event for *_, event in sorted(self._closed, key=lambda entry: entry[:2]))

    def _close(self, class_id: int) -> None:
        """An event is over."""
        found = self._open.pop(class_id)
        if found.end_s - found.start_s < self._min_event_s:
            return
        event = VideoEvent(
            label=self._names[class_id],
            start_s=found.start_s,
            end_s=found.end_s,
            num_frames=found.num_frames,
            score_mean=found.score_sum / found.num_frames,
            score_max=found.score_max,
            peak_s=found.peak_s,
        )
        self._closed.append((found.start_s, class_id, event))
