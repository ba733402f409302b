"""What a video shows as a whole, and when: from the evidence of its frames, folded as they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.records import FloatArray
from inference_core.video.events import EventFold, VideoEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSummary:
    """A whole video. Labels are "" where no class shows in any frame."""

    num_frames: int
    """That have an answer."""
    start_s: float
    end_s: float
    """When the last frame ends."""
    mean_label: str
    """The class whose score, averaged over the time, is highest."""
    mean_score: float
    majority_label: str
    """The class that is the best one for the longest time."""
    majority_frac: float
    """Of the time."""
    longest_label: str
    """Of the longest time in which one class is the best one without a break."""
    longest_start_s: float
    longest_end_s: float
    events: tuple[VideoEvent, ...]
    """By start, then by class."""


class TimelineFold:
    """Sums a video up frame by frame, in memory that does not grow with its length but for its events.

    Each frame counts for as long as it is shown, so that a variable rate changes nothing; the last one for the median
    of the others.

    Args:
        class_names: (K,).
        threshold: a class shows in a frame from this evidence on, and above 0.
        min_event_s: shorter events are left out.
    """

    def __init__(self, class_names: Sequence[str], *, threshold: float, min_event_s: float = 0.0) -> None:
        self._names = [*class_names, ""]
        self._events = EventFold(class_names, threshold=threshold, min_event_s=min_event_s)
        self._sums = np.zeros((2, len(class_names)))
        """Evidence by the time that it is shown, and by frames for a video of one."""
        self._times_best = np.zeros((2, len(class_names)))
        """Time and frames in which a class is the best one."""
        self._total_s = self._start_s = 0.0
        self._num_frames = 0
        self._gaps_us: Counter[int] = Counter()
        self._last: tuple[float, FloatArray] | None = None
        self._run = self._longest = (-1, 0.0, 0.0)
        """Class, start and end of a time with one best class; class -1 where none shows."""

    def add(self, evidence: FloatArray, *, time_s: float) -> None:
        """One more frame.

        Args:
            evidence: (K,) float32, smoothed or not; not modified.
            time_s: of the frame, not before that of the last one.

        Raises:
            ShapeError: the evidence is not of these classes.
        """
        if evidence.shape != self._sums.shape[1:]:
            raise ShapeError(f"evidence must be ({len(self._names) - 1},) for these classes, got {evidence.shape}")
        if self._last is None:
            self._start_s = time_s
        else:
            self._gaps_us[round((time_s - self._last[0]) * 1e6)] += 1
            self._count(end_s=time_s)
        self._last = (time_s, evidence)

    def finish(self) -> VideoSummary:
        """What the video shows; call it once, behind the last frame."""
        end_s = 0.0
        if self._last is not None:
            end_s = self._last[0] + median_of(self._gaps_us) / 1e6
            self._count(end_s=end_s)
        row, total = (0, self._total_s) if self._total_s else (1, max(self._num_frames, 1))
        # Rounded, so that classes that are equal but for the last bits are equal; the first one of them counts.
        means = (self._sums[row] / total).round(9)
        shares = (self._times_best[row] / total).round(9)
        mean, majority = best_of(means), best_of(shares)
        return VideoSummary(
            num_frames=self._num_frames,
            start_s=self._start_s,
            end_s=end_s,
            mean_label=self._names[mean],
            mean_score=float(means[mean]) if mean >= 0 else 0.0,
            majority_label=self._names[majority],
            majority_frac=float(shares[majority]) if majority >= 0 else 0.0,
            longest_label=self._names[self._longest[0]],
            longest_start_s=self._longest[1],
            longest_end_s=self._longest[2],
            events=self._events.finish(),
        )

    def _count(self, *, end_s: float) -> None:
        """The last frame, which is shown until then."""
        assert self._last is not None, "there is one"
        start_s, evidence = self._last
        weights = np.array([[end_s - start_s], [1.0]])
        best = best_of(evidence)
        self._sums += weights * evidence
        if best >= 0:
            self._times_best[:, best] += weights[:, 0]
        self._total_s += end_s - start_s
        self._num_frames += 1
        self._run = (best, self._run[1] if best == self._run[0] else start_s, end_s)
        if best >= 0 and length_of(self._run) > length_of(self._longest):
            self._longest = self._run
        self._events.add(evidence, start_s=start_s, end_s=end_s)


def best_of(values: NDArray[np.floating]) -> int:
    """The first of the highest values, -1 where none is above 0."""
    best = int(values.argmax()) if values.size else -1
    return best if best >= 0 and values[best] > 0 else -1


def length_of(run: tuple[int, float, float]) -> float:
    """Seconds of a run, -1 of none; rounded, so that the first of equal ones counts."""
    return round(run[2] - run[1], 9) if run[0] >= 0 else -1.0


def median_of(counts: Counter[int]) -> float:
    """The median of numbers of which it is known how often each one came; 0 of none."""
    values = sorted(counts)
    if not values:
        return 0.0
    places = np.cumsum([counts[value] for value in values])
    middle = places[-1] - 1
    low, high = (int(np.searchsorted(places, place, side="right")) for place in (middle // 2, (middle + 1) // 2))
    return (values[low] + values[high]) / 2
