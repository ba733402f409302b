"""Which frames of a video are wanted."""

from __future__ import annotations

SLACK_S = 5e-4
"""Less than any frame lasts, and more than times are rounded by."""


class FrameSampler:
    """Wants each frame that is the first at or behind a multiple of ``1 / frames_per_s``.

    Args:
        frames_per_s: at most so many for each second; None for all.
    """

    def __init__(self, frames_per_s: float | None) -> None:
        self._frames_per_s = frames_per_s
        self._next_s = 0.0

    def wants(self, time_s: float) -> bool:
        """Whether a frame is wanted; ask for each, in order."""
        if self._frames_per_s is None:
            return True
        if time_s < self._next_s - SLACK_S:
            return False
        self._next_s = (int((time_s + SLACK_S) * self._frames_per_s) + 1) / self._frames_per_s
        return True
