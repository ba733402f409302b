"""How many tiles of a shape go into one forward: what was asked for, or what the device had memory for lately."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]

RETRY_AFTER = 16
"""Full forwards of a lowered size before twice as many tiles are tried again: whoever took the memory may be gone."""
MAX_RETRY_AFTER = 512
"""Each trial in a row that fails doubles the wait, up to this: a forward that does not fit costs time for nothing."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LoweredSize:
    """Of one shape whose forwards of the full size do not fit."""

    size: int
    num_full: int = 0
    """Forwards of this size that fitted."""
    retry_after: int = RETRY_AFTER
    is_trial: bool = False
    """Whether this size was raised and has not fitted yet."""


class FittingSizes:
    """Learns for every shape what fits; one thread at a time.

    Args:
        batch_size: most tiles in a forward.
        of_shape: (h, w) to most tiles in a forward of that shape, where it is another number.
    """

    def __init__(self, batch_size: int, *, of_shape: Mapping[tuple[int, int], int] | None = None) -> None:
        self._batch_size = batch_size
        self._of_shape = dict(of_shape or {})
        self._lowered: dict[Shape, LoweredSize] = {}
        self.num_oom_halvings = 0
        """Forwards that did not fit the device and were halved."""

    def full_size(self, shape: Shape) -> int:
        """Most tiles of a shape (h, w, C) in a forward when memory is no matter."""
        return min(self._of_shape.get((shape[0], shape[1]), self._batch_size), self._batch_size)

    def size_of(self, shape: Shape) -> int:
        """Tiles of a shape (h, w, C) in the next forward."""
        lowered = self._lowered.get(shape)
        return lowered.size if lowered else self.full_size(shape)

    def note_fit(self, shape: Shape, count: int) -> None:
        """Take note that a forward of ``count`` tiles fitted."""
        lowered = self._lowered.get(shape)
        if lowered is None or count < lowered.size:
            return
        if lowered.size >= self.full_size(shape):
            del self._lowered[shape]
            return
        lowered.num_full += 1
        if lowered.is_trial:
            lowered.is_trial, lowered.retry_after = False, RETRY_AFTER
        if lowered.num_full >= lowered.retry_after:
            lowered.size = min(2 * lowered.size, self.full_size(shape))
            lowered.num_full, lowered.is_trial = 0, True

    def note_limit(self, shape: Shape, size: int) -> None:
        """Take note that no more than ``size`` tiles fit."""
        lowered = self._lowered.get(shape)
        if lowered is None:
            logger.warning(
                "%d tiles of %dx%d do not fit the device's memory; going on with %d",
                self.full_size(shape), shape[0], shape[1], size,
            )  # fmt: skip
            self._lowered[shape] = LoweredSize(size)
            return
        if lowered.is_trial:
            lowered.retry_after = min(2 * lowered.retry_after, MAX_RETRY_AFTER)
        lowered.size, lowered.num_full, lowered.is_trial = size, 0, False
