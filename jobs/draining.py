"""Stop in order: begin no shard, let those under way be committed for a while, then end.

SIGTERM arms it: Ray Data begins no new shard, and a thread sends SIGTERM once more when nothing is under way or the
time is over. That one, or any that comes meanwhile, ends the process as before.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopFlag:
    """Set once, read by the thread that feeds the pipeline. A copy that travels to a worker is a flag of its own."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._idle = threading.Event()

    def ask(self) -> None:
        """Let nothing begin any more."""
        self._asked.set()

    @property
    def is_asked(self) -> bool:
        """Whether nothing may begin any more."""
        return self._asked.is_set()

    def note_idle(self) -> None:
        """Nothing is under way any more."""
        self._idle.set()

    def wait_idle(self, timeout_s: float) -> None:
        """Wait until nothing is under way, or for the time."""
        self._idle.wait(timeout_s)

    def __deepcopy__(self, memo: dict[int, Any]) -> StopFlag:
        """Ray Data copies its settings for each dataset; they are all of one run."""
        return self

    def __reduce__(self) -> tuple[type[StopFlag], tuple[()]]:
        """Workers are told when to stop by Ray, not by a flag."""
        return StopFlag, ()


@contextmanager
def drained_on_sigterm(flag: StopFlag, *, grace_s: float) -> Iterator[None]:
    """Answer the first SIGTERM by draining, while the context lasts; a second one as before.

    Args:
        flag: read by what feeds the pipeline.
        grace_s: how long shards under way may take.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread, and so does the answer to them
        return
    before = signal.getsignal(signal.SIGTERM)
    is_over = threading.Event()

    def end() -> None:
        flag.wait_idle(grace_s)
        if not is_over.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    def drain(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, before)
        flag.ask()
        threading.Thread(target=end, name="millrace-drain", daemon=True).start()

    signal.signal(signal.SIGTERM, drain)
    try:
        yield
    finally:
        is_over.set()
        signal.signal(signal.SIGTERM, before)
