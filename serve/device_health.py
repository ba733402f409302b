"""Whether a model's device still works: one bad image is no reason to doubt it, many failures in a row are."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from inference_core.items import RawItem

MAX_FAILURES = 3
"""Forwards in a row that gave nothing, after which the device is doubted."""

STICKY_ERRORS = (
    "cuda error",
    "cudnn_status",
    "cublas_status",
    "device-side assert",
    "illegal memory access",
    "unspecified launch failure",
    "misaligned address",
    "an illegal instruction",
    "uncorrectable ecc",
    "gpu has fallen off the bus",
)
"""Parts of messages after which no forward of the process succeeds any more."""


class DeviceHealth:
    """Watches forwards; told by the threads that run them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_failures = 0
        self._good_at_s = 0.0
        self.broken_reason = ""
        """Why the process must be replaced, "" while it need not."""

    @property
    def is_broken(self) -> bool:
        """Whether the process must be replaced."""
        return bool(self.broken_reason)

    @property
    def is_doubted(self) -> bool:
        """Whether so many forwards in a row failed that a blank image should be tried."""
        return self._num_failures >= MAX_FAILURES

    def was_good_within(self, seconds: float) -> bool:
        """Whether a forward succeeded lately."""
        return time.monotonic() - self._good_at_s < seconds and not self.is_broken

    def note_items(self, items: Sequence[RawItem]) -> None:
        """Take note of what a forward gave: images that the model alone refused may be the images' fault."""
        inferred = [item for item in items if item.engine]
        if not inferred:
            return
        for item in inferred:
            if is_sticky(item.error):
                self.note_broken(item.error)
        self._note(is_good=any(item.raw is not None for item in inferred))

    def note_error(self, error: BaseException) -> None:
        """Take note of a forward that raised."""
        if is_sticky(str(error)):
            self.note_broken(str(error))
        self._note(is_good=False)

    def note_broken(self, reason: str) -> None:
        """From here on the process is of no use."""
        self.broken_reason = self.broken_reason or reason

    def note_good(self) -> None:
        """A blank image came through."""
        self._note(is_good=True)

    def _note(self, *, is_good: bool) -> None:
        with self._lock:
            self._num_failures = 0 if is_good else self._num_failures + 1
            if is_good:
                self._good_at_s = time.monotonic()


def is_sticky(message: str) -> bool:
    """Whether an error's text says that the device is lost for this process. Being out of memory is not that."""
    lowered = message.lower()
    return "out of memory" not in lowered and any(part in lowered for part in STICKY_ERRORS)
