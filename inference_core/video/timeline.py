"""What a video shows as a whole, and when: from the evidence of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError
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


def summarise_video(
    evidence: FloatArray,
    times_s: NDArray[np.float64],
    *,
    class_names: Sequence[str],
    threshold: float,
    min_event_s: float = 0.0,
) -> VideoSummary:
    """Sum a video up.

    Each frame counts for as long as it is shown, so that a variable rate changes nothing; the last one for the median
    of the others.

    Args:
        evidence: (N, K) float32, smoothed or not; not modified.
        times_s: (N,) of the frames, rising.
        class_names: (K,).
        threshold: a class shows in a frame from this evidence on, and above 0.
        min_event_s: shorter events are left out.

    Raises:
        ShapeError: the sizes do not fit.
    """
    if evidence.shape != (len(times_s), len(class_names)):
        raise ShapeError(
            f"evidence must be ({len(times_s)}, {len(class_names)}) for these frames and classes, got "
            f"{list(evidence.shape)}"
        )
    ends_s = frame_ends(times_s)
    lengths = ends_s - times_s
    total_s = float(lengths.sum())
    best = np.where(evidence.max(axis=1, initial=0.0) > 0, evidence.argmax(axis=1) if evidence.size else 0, -1)  # (N,)
    weights = lengths / total_s if total_s else np.full(len(times_s), 1 / max(len(times_s), 1))
    # Rounded, so that classes that are equal but for the last bits are equal; the first one of them counts.
    means = (weights @ evidence).round(9) if len(times_s) else np.zeros(len(class_names))
    mean_class = int(means.argmax()) if means.size and means.max() > 0 else -1
    times_best = np.array([weights[best == index].sum() for index in range(len(class_names))]).round(9)
    majority = int(times_best.argmax()) if times_best.size and times_best.max() > 0 else -1
    longest = longest_run(best, times_s, ends_s)
    names = [*class_names, ""]
    return VideoSummary(
        num_frames=len(times_s),
        start_s=float(times_s[0]) if len(times_s) else 0.0,
        end_s=float(ends_s[-1]) if len(times_s) else 0.0,
        mean_label=names[mean_class],
        mean_score=float(means[mean_class]) if mean_class >= 0 else 0.0,
        majority_label=names[majority],
        majority_frac=float(times_best[majority]) if majority >= 0 else 0.0,
        longest_label=names[longest[0]],
        longest_start_s=longest[1],
        longest_end_s=longest[2],
        events=find_events(
            evidence, times_s, ends_s, class_names=class_names, threshold=threshold, min_event_s=min_event_s
        ),
    )


def frame_ends(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) when each frame makes way for the next; the last one is shown as long as they are in the middle."""
    if not len(times_s):
        return times_s
    gaps = np.diff(times_s)
    last = float(np.median(gaps)) if len(gaps) else 0.0
    return np.append(times_s[1:], times_s[-1] + last)


def runs_of(is_in: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each unbroken stretch of True."""
    edges = np.diff(is_in.astype(np.int8), prepend=0, append=0)
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))


def longest_run(
    best: NDArray[np.intp], times_s: NDArray[np.float64], ends_s: NDArray[np.float64]
) -> tuple[int, float, float]:
    """Class, start and end of the longest time with one best class; class -1 where there is none."""
    runs = [
        (int(class_id), float(times_s[first]), float(ends_s[last]))
        for class_id in np.unique(best[best >= 0]).tolist()
        for first, last in runs_of(best == class_id)
    ]
    return max(runs, key=lambda run: (round(run[2] - run[1], 9), -run[1]), default=(-1, 0.0, 0.0))


def find_events(
    evidence: FloatArray,
    times_s: NDArray[np.float64],
    ends_s: NDArray[np.float64],
    *,
    class_names: Sequence[str],
    threshold: float,
    min_event_s: float,
) -> tuple[VideoEvent, ...]:
    """The times in which each class shows."""
    events = []
    for class_id, label in enumerate(class_names):
        scores = evidence[:, class_id]
        for first, last in runs_of((scores >= threshold) & (scores > 0)):
            part = scores[first : last + 1]
            if ends_s[last] - times_s[first] < min_event_s:
                continue
            event = VideoEvent(
                label=label,
                start_s=float(times_s[first]),
                end_s=float(ends_s[last]),
                num_frames=last - first + 1,
                score_mean=float(part.mean()),
                score_max=float(part.max()),
                peak_s=float(times_s[first + int(part.argmax())]),
            )
            events.append((event.start_s, class_id, event))
    return tuple(event for *_, event in sorted(events, key=lambda entry: entry[:2]))
