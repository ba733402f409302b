"""One queue in front of a model: requests of all protocols wait here and leave in batches."""

from __future__ import annotations

import asyncio
import queue
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from serve.errors import DeadlineError

P = TypeVar("P")
R = TypeVar("R")


@dataclass(slots=True, kw_only=True)
class Deadline:
    """When nobody waits for an answer any more; moved when somebody joins who waits longer."""

    at_s: float | None = None
    """On the clock of ``time.time``; None for never."""

    def extend(self, at_s: float | None) -> None:
        """Wait for one who waits until ``at_s``, too."""
        self.at_s = None if self.at_s is None or at_s is None else max(self.at_s, at_s)

    @property
    def is_over(self) -> bool:
        """Whether it is later."""
        return self.at_s is not None and self.at_s <= time.time()


@dataclass(slots=True, kw_only=True, eq=False)
class Entry(Generic[P, R]):
    """One waiting request and the future that its answer goes to."""

    payload: P
    future: asyncio.Future[R]
    deadline: Deadline
    queued_at_s: float = field(default_factory=time.perf_counter)
    """On the clock of ``time.perf_counter``."""
    queue_ms: float = 0.0
    """Time waited, known once the entry was taken."""

    def settle(self, outcome: R | BaseException) -> None:
        """Give the answer or the error; on the loop of the future. One that nobody awaits any more is dropped."""
        if self.future.done():
            return
        if isinstance(outcome, BaseException):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class BatchQueue(Generic[P, R]):
    """Entries go in on an event loop and come out in threads, oldest first.

    A deque holds the entries and a queue of tokens wakes the threads: both are one step each to CPython, which a lock
    with a condition is not, and a request passes here in microseconds.
    """

    def __init__(self) -> None:
        self._waiting: deque[Entry[P, R]] = deque()
        self._tokens: queue.SimpleQueue[None] = queue.SimpleQueue()  # at least one for each entry
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, payload: P, *, deadline: Deadline, is_first: bool = False) -> asyncio.Future[R]:
        """Queue one request; cancelling the future takes it out again.

        Args:
            payload: what a worker gets.
            deadline: an entry that is taken later is answered with a DeadlineError instead.
            is_first: before all others.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        entry = Entry(payload=payload, future=future, deadline=deadline)
        future.add_done_callback(lambda done: self._withdraw(entry) if done.cancelled() else None)
        if is_first:
            self._waiting.appendleft(entry)
        else:
            self._waiting.append(entry)
        self._tokens.put(None)
        return future

    def take(self, *, max_size: int, wait_s: float) -> list[Entry[P, R]]:
        """Wait for entries and take the oldest.

        Args:
            max_size: most entries.
            wait_s: how long to wait for more of them once there is one.

        Returns:
            At least one entry; none when the queue was closed and is empty.
        """
        while True:
            self._tokens.get()
            taken = self._take_one()
            until_s = time.perf_counter() + wait_s if taken and wait_s else 0.0
            while taken and len(taken) < max_size and self._has_more(until_s):
                taken += self._take_one()
            if self._is_closed:
                self._tokens.put(None)  # the one that closed the queue may be among those taken; all threads need it
            if alive := drop_late(taken):
                return alive
            if self._is_closed and not taken:
                return []

    def close(self) -> None:
        """Let the threads end once the queue is empty; what waits is still done."""
        self._is_closed = True
        self._tokens.put(None)

    def _take_one(self) -> list[Entry[P, R]]:
        """The oldest entry, none where it was withdrawn and only its token is left."""
        try:
            return [self._waiting.popleft()]
        except IndexError:
            return []

    def _has_more(self, until_s: float) -> bool:
        """Whether there is another token, or comes until then."""
        wait_s = 0.0 if self._is_closed else until_s - time.perf_counter()
        try:
            self._tokens.get(block=wait_s > 0, timeout=max(wait_s, 0.0))
        except queue.Empty:
            return False
        return True

    def _withdraw(self, entry: Entry[P, R]) -> None:
        with suppress(ValueError):
            self._waiting.remove(entry)


def drop_late(entries: Sequence[Entry[P, R]]) -> list[Entry[P, R]]:
    """Entries that somebody still waits for; those whose time is over are told so."""
    taken_at_s = time.perf_counter()
    alive = []
    for entry in entries:
        if entry.future.cancelled():
            continue
        if entry.deadline.is_over:
            settle_all([entry], [late_error()])
            continue
        entry.queue_ms = (taken_at_s - entry.queued_at_s) * 1000
        alive.append(entry)
    return alive


def settle_all(entries: Sequence[Entry[P, R]], outcomes: Sequence[R | BaseException]) -> None:
    """Give answers and errors from a thread; one wake-up of the loop for all of them."""
    if not entries:
        return

    def settle() -> None:
        for entry, outcome in zip(entries, outcomes, strict=True):
            entry.settle(outcome)

    entries[0].future.get_loop().call_soon_threadsafe(settle)


def late_error() -> DeadlineError:
    """What a request is told whose time was over before its turn."""
    return DeadlineError("the answer must be there before the deadline, but the time was over; wait longer, or retry")
