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

WORKER_NICENESS = 5
"""A core that a worker and the event loop both want goes to the loop for three quarters of the time, and at once."""

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
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{index}", daemon=True) for index in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def close(self, *, timeout_s: float = 10.0) -> None:
        """Do what waits, then end the threads; blocks."""
        self.queue.close()
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self) -> None:
        yield_to_others()
        while entries := self.queue.take(max_size=self._batch_size, wait_s=self._wait_s):
            self._settle(entries)

    def _settle(self, entries: Sequence[Entry[P, R]]) -> None:
        """Run a batch. Whatever it raises becomes the error of its entries, and the thread lives on."""
        outcomes: Sequence[R | BaseException]
        try:
            outcomes = guarded(lambda: self._run(entries))
        except ServeError as exc:
            outcomes = [exc] * len(entries)
        settle_all(entries, outcomes)


def yield_to_others() -> None:
    """Let the event loop's thread have a core as soon as it wants one: what it does takes microseconds, and all
    requests wait for it, those too that are refused.
    """
    if sys.platform == "linux":  # where threads have priorities of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), WORKER_NICENESS)


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
