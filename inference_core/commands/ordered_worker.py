"""A thread that does what it is given in that order, while the giver goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

MAX_WAITING = 16
"""Pieces of work that are held at a time."""


class OrderedWorker:
    """Use it as a context, which ends when all is done.

    Args:
        max_waiting: beyond it, whoever gives more work waits.
    """

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[Future[None]] = deque()

    def do(self, work: Callable[[], None]) -> None:
        """Do it after all that was given before.

        Raises:
            Exception: what an earlier piece of work raised.
        """
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= self._max_waiting):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(work))

    def wait(self) -> None:
        """Go on when all that was given is done.

        Raises:
            Exception: what a piece of work raised.
        """
        while self._waiting:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            wait(self._waiting)
        finally:
            # Whoever interrupts the waiting waits for the piece that runs alone: what it uses is closed next.
            self._pool.shutdown(cancel_futures=True)
        failed = next((work for work in self._waiting if work.exception() is not None), None)
        if failed is not None and (kind is None or not issubclass(kind, Exception)):
            failed.result()
