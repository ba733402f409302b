"""Threads that take batches from a queue and run them."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from serve.batch_queue import BatchQueue, Entry, settle_all
from serve.errors import InternalError, ServeError

P = TypeVar("P")
R = TypeVar("R")

MORE_NICENESS = 5
"""Of workers, compared with the event loop: a core that both want is the loop's for three quarters of the time."""

logger = logging.getLogger(__name__)


class BatchWorkers(Generic[P, R]):
    """A queue and its threads.

    Args:
        run: takes the entries of a batch and gives an answer or an error for each; called in the threads, several at
            once.
        num_threads: batches under way at once.
        batch_size: most entries of a batch.
        wait_s: how long a batch that could begin waits for more entries.
        name: of the threads.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Entry[P, R]]], Sequence[R | BaseException]],
        *,
        num_threads: int,
        batch_size: int,
        wait_s: float = 0.0,
        name: str = "infer",
    ) -> None:
        self._run = run
        self._batch_size = batch_size
        self._wait_s = wait_s
        self.queue: BatchQueue[P, R] = BatchQueue()
        self._in_hand = [0] * num_threads
        self._threads = [
            threading.Thread(target=self._work, args=[index], name=f"{name}-{index}", daemon=True)
            for index in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def num_open(self) -> int:
        """Entries that wait or are run at this moment. Those that are done do not count, though the event loop, which
        may have much else to do, has not told anybody yet.
        """
        return len(self.queue) + sum(self._in_hand)

    def close(self, *, timeout_s: float = 10.0) -> None:
        """Do what waits, then end the threads; blocks."""
        self.queue.close()
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self, index: int) -> None:
        yield_to_others()
        while entries := self.queue.take(max_size=self._batch_size, wait_s=self._wait_s):
            self._in_hand[index] = len(entries)
            outcomes = self._outcomes(entries)
            self._in_hand[index] = 0
            settle_all(entries, outcomes)

    def _outcomes(self, entries: Sequence[Entry[P, R]]) -> Sequence[R | BaseException]:
        """Run a batch. Whatever it raises becomes the error of its entries, and the thread lives on."""
        try:
            return guarded(lambda: self._run(entries))
        except ServeError as exc:
            return [exc] * len(entries)


def yield_to_others() -> None:
    """Let the event loop's thread have a core as soon as it wants one: what it does takes microseconds, and all
    requests wait for it, those too that are refused.
    """
    if sys.platform == "linux":  # where threads have priorities of their own
        os.nice(MORE_NICENESS)


def guarded(work: Callable[[], R]) -> R:
    """Run code of a model, which may raise anything, even what ends a process.

    Raises:
        ServeError: whatever it raised, as callers may see it.
    """
    try:
        return work()
    except BaseException as exc:
        raise as_serve_error(exc) from exc


def as_serve_error(error: BaseException) -> ServeError:
    """An error as callers may see it; the log has what they may not."""
    if isinstance(error, ServeError):
        return error
    logger.error("a batch failed: %s", error, exc_info=error)
    return InternalError("the model failed on this request; the log of the service says why")
