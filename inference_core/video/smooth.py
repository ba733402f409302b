"""Scores over time without their flicker, from what was seen up to each frame, so that streams and files agree."""

from __future__ import annotations

from collections import deque
from typing import Literal, get_args

import numpy as np

from inference_core.errors import ConfigError
from inference_core.records import FloatArray, Uint8Array

Smoothing = Literal["none", "exponential", "median"]
SMOOTHINGS: tuple[Smoothing, ...] = get_args(Smoothing)
DEFAULT_WINDOW_S = 0.5


def read_smoothing(name: str, *, key: str) -> Smoothing:
    """A way of smoothing by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    for known in SMOOTHINGS:
        if name == known:
            return known
    raise ConfigError(f"must be one of {', '.join(SMOOTHINGS)}, got {name!r}; choose one", key=key)


def check_window(window_s: float) -> None:
    """Raise ConfigError unless there is time to smooth over."""
    if not window_s > 0:
        raise ConfigError(f"must be above 0, got {window_s}; use none for no smoothing", key="window_s")


class ScoreSmoother:
    """Smooths the scores of frames as they come.

    Args:
        method: ``exponential``: what was seen ``window_s`` ago counts half; ``median`` of the last ``window_s``.
        window_s: seconds, above 0. Times count, not frames, so that a variable rate does not matter.
    """

    def __init__(self, method: Smoothing, *, window_s: float = DEFAULT_WINDOW_S) -> None:
        check_window(window_s)
        self._method, self._window_s = method, window_s
        self._last: tuple[float, FloatArray] | None = None
        self._seen: deque[tuple[float, FloatArray]] = deque()

    def update(self, scores: FloatArray, *, time_s: float) -> FloatArray:
        """The smoothed scores of the next frame.

        Args:
            scores: (K,) float32, not modified.
            time_s: of the frame, not before that of the last one.
        """
        if self._method == "none":
            return scores
        if self._method == "median":
            self._seen.append((time_s, scores))
            while self._seen[0][0] <= time_s - self._window_s:
                self._seen.popleft()
            return np.median(np.stack([seen for _, seen in self._seen]), axis=0).astype(np.float32)
        share = 1.0 if self._last is None else new_share(time_s - self._last[0], half_life_s=self._window_s)
        before = scores if self._last is None else self._last[1]
        smoothed = (before + share * (scores - before)).astype(np.float32)
        self._last = (time_s, smoothed)
        return smoothed


class MaskSmoother:
    """Smooths the classes of pixels as they come: each frame votes for its class, and the class with most votes wins.

    Args:
        method: ``exponential``: votes of ``window_s`` ago count half; ``median`` all of the last ``window_s`` alike.
        num_classes: K.
        window_s: seconds, above 0.

    Cost: (K, H, W) float32.
    """

    def __init__(self, method: Smoothing, *, num_classes: int, window_s: float = DEFAULT_WINDOW_S) -> None:
        check_window(window_s)
        self._method, self._window_s, self._num_classes = method, window_s, num_classes
        self._votes: FloatArray | None = None
        self._last_s = 0.0
        self._seen: deque[tuple[float, Uint8Array]] = deque()

    def update(self, mask: Uint8Array, *, time_s: float) -> Uint8Array:
        """The smoothed mask of the next frame; where classes are equal, that of the frame itself.

        Args:
            mask: (H, W) uint8 class ids, not modified. Where the size changes, what was seen before is forgotten.
            time_s: of the frame, not before that of the last one.
        """
        if self._method == "none":
            return mask
        if self._votes is None or self._votes.shape[1:] != mask.shape:
            self._votes = np.zeros((self._num_classes, *mask.shape), np.float32)
            self._seen.clear()
        votes = self._votes
        if self._method == "exponential":
            votes *= np.float32(1 - new_share(time_s - self._last_s, half_life_s=self._window_s))
            self._last_s = time_s
        else:
            self._seen.append((time_s, mask))
            while self._seen[0][0] <= time_s - self._window_s:
                add_votes(votes, self._seen.popleft()[1], weight=-1.0)
        # The newest votes of an exponential window have the weight 1, and older ones less.
        add_votes(votes, mask, weight=1.0)
        own = np.take_along_axis(votes, mask[None].astype(np.intp), axis=0)[0]
        return np.where(own >= votes.max(axis=0), mask, votes.argmax(axis=0)).astype(np.uint8)


def add_votes(votes: FloatArray, mask: Uint8Array, *, weight: float) -> None:
    """Add a mask's votes, in place."""
    for class_id in np.unique(mask).tolist():
        votes[class_id] += np.float32(weight) * (mask == class_id)


def new_share(elapsed_s: float, *, half_life_s: float) -> float:
    """Weight of what is new after so long: the old one's is a half after each half-life."""
    return float(1 - 0.5 ** (max(elapsed_s, 0.0) / half_life_s))
