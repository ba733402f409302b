"""Objects over time: which box is which object's, and where each of them is without flicker and jitter."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from inference_core.records import FloatArray, Int32Array
from inference_core.results import Detection, InstanceMask
from inference_core.video.match_boxes import match_boxes
from inference_core.video.smooth import DEFAULT_WINDOW_S, Smoothing, check_window
from inference_core.video.steady_box import reach_s, steady_box, weights_of

BEGIN_FRAC, END_FRAC = 1 / 2, 1 / 3
"""An object is shown once it is seen in so much of the time, and until it is in less. Two numbers, for with one an
object that is seen in half of the frames would flicker."""


@dataclass(slots=True, kw_only=True, eq=False)
class Track:
    """One object."""

    track_id: int
    class_id: int
    label: str
    times_s: deque[float] = field(default_factory=deque)
    """When it was seen, within the reach of the smoothing; so are boxes and scores."""
    boxes: deque[FloatArray] = field(default_factory=deque)
    scores: deque[float] = field(default_factory=deque)
    mask: InstanceMask | None = None
    """The last one."""
    is_shown: bool = False

    def see(self, result: Detection, index: int, *, time_s: float) -> None:
        """It is an object of the newest frame."""
        self.times_s.append(time_s)
        self.boxes.append(result.boxes_xyxy[index])
        self.scores.append(float(result.scores[index]))
        self.mask = None if result.masks is None else result.masks[index]

    def forget(self, *, before_s: float) -> None:
        """Leave out what is too old, but for what was seen last."""
        while len(self.times_s) > 1 and self.times_s[0] <= before_s:
            for seen in (self.times_s, self.boxes, self.scores):
                seen.popleft()


class BoxTracker:
    """Follows the objects of frames as they come.

    An object's score is smoothed over the frames in which it is seen, and so are its corners, but for its motion. It
    is shown when it is seen in half of the last ``window_s``, as pixels go by the votes of frames, and no longer than
    ``window_s`` after it was seen last.

    Args:
        method: ``exponential`` or ``median``, see ``ScoreSmoother``; ``none`` gives ids alone.
        window_s: likewise.
    """

    def __init__(self, method: Smoothing, *, window_s: float = DEFAULT_WINDOW_S) -> None:
        check_window(window_s)
        self._method, self._window_s = method, window_s
        self._reach_s = reach_s(method, window_s=window_s)
        self._tracks: list[Track] = []
        self._num_tracks = 0
        self._times_s: deque[float] = deque()

    def update(self, result: Detection, *, time_s: float, image_hw: tuple[int, int]) -> tuple[Detection, Int32Array]:
        """The objects of the next frame.

        Args:
            result: of the frame, not modified.
            time_s: of the frame, not before that of the last one.
            image_hw: within which boxes stay.

        Returns:
            What is shown in the frame, best score first, and (N,) int32 ids of the frame's own objects, which rise
            from 0 in the order in which objects were first seen.
        """
        self._times_s.append(time_s)
        while self._times_s[0] <= time_s - self._reach_s:
            self._times_s.popleft()
        track_ids = self._take(result, time_s=time_s)
        for track in self._tracks:
            track.forget(before_s=time_s - self._reach_s)
            share = self._share_seen(track, time_s=time_s)
            track.is_shown = share >= (END_FRAC if track.is_shown else BEGIN_FRAC)
        if self._method == "none":
            return result, track_ids
        return self._shown(result, time_s=time_s, image_hw=image_hw), track_ids

    def _take(self, result: Detection, *, time_s: float) -> Int32Array:
        """Give each object of a frame to its track, or begin one; ids by object."""
        known = np.array([self._box_at(track, time_s) for track in self._tracks], np.float32).reshape(-1, 4)
        class_ids = np.array([track.class_id for track in self._tracks], np.int32)
        pairs = match_boxes(known, class_ids, result.boxes_xyxy, result.class_ids)
        found = {theirs: self._tracks[ours] for ours, theirs in pairs}
        self._tracks = [
            track
            for index, track in enumerate(self._tracks)
            if track in found.values() or time_s - track.times_s[-1] < self._window_s
        ]
        for index in range(len(result.scores)):
            if index not in found:
                found[index] = self._begin(result, index)
            found[index].see(result, index, time_s=time_s)
        return np.array([found[index].track_id for index in range(len(result.scores))], np.int32)

    def _begin(self, result: Detection, index: int) -> Track:
        """A new object."""
        track = Track(track_id=self._num_tracks, class_id=int(result.class_ids[index]), label=result.labels[index])
        self._num_tracks += 1
        self._tracks.append(track)
        return track

    def _box_at(self, track: Track, time_s: float) -> FloatArray:
        """(4,) where an object should be."""
        return steady_box(
            np.array(track.times_s),
            np.array(track.boxes, np.float64),
            now_s=time_s,
            method=self._method,
            window_s=self._window_s,
        )

    def _share_seen(self, track: Track, *, time_s: float) -> float:
        """In how much of the frames an object was seen."""
        seen, all_s = (
            self._weights(time_s - np.array([moment for moment in moments if moment > time_s - self._reach_s]))
            for moments in (track.times_s, self._times_s)
        )
        return float(seen.sum() / all_s.sum())

    def _weights(self, ages_s: NDArray[np.float64]) -> NDArray[np.float64]:
        return weights_of(ages_s, method=self._method, window_s=self._window_s)

    def _score_of(self, track: Track) -> float:
        """Its score over the frames in which it was seen."""
        scores = np.array(track.scores)
        if self._method == "median":
            return float(np.median(scores))
        return float(np.average(scores, weights=self._weights(track.times_s[-1] - np.array(track.times_s))))

    def _shown(self, result: Detection, *, time_s: float, image_hw: tuple[int, int]) -> Detection:
        """The tracks that are to be seen, as the answer for a frame."""
        height, width = image_hw
        limits = np.array([width, height, width, height], np.float32)
        placed = [(track, np.clip(self._box_at(track, time_s), 0, limits)) for track in self._tracks if track.is_shown]
        drawn = sorted(
            ((self._score_of(track), track, box) for track, box in placed if (box[2:] > box[:2]).all()),
            key=lambda entry: (-entry[0], entry[1].track_id),
        )
        masks = tuple(track.mask for _, track, _ in drawn if track.mask is not None)
        return replace(
            result,
            boxes_xyxy=np.array([box for *_, box in drawn], np.float32).reshape(-1, 4),
            scores=np.array([score for score, *_ in drawn], np.float32),
            class_ids=np.array([track.class_id for _, track, _ in drawn], np.int32),
            labels=tuple(track.label for _, track, _ in drawn),
            masks=None if result.masks is None else masks,
        )
