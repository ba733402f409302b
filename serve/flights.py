"""Equal requests that are under way together are computed once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from serve.answers import Answer
from serve.batch_queue import Deadline, late_error


class Flight:
    """One computation and those who wait for it.

    Args:
        future: the answer to come.
        deadline: that of the one who waits longest.
    """

    def __init__(self, future: asyncio.Future[Answer], deadline: Deadline) -> None:
        self._future = future
        self._deadline = deadline
        self._num_waiting = 0
        self.is_abandoned = False
        """Whether nobody waits any more: it is cancelled, or will be in a moment."""
        # An error that nobody waits for any more is nobody's.
        future.add_done_callback(lambda done: None if done.cancelled() else done.exception())

    def join(self, at_s: float | None) -> None:
        """One more waits, until ``at_s``."""
        self._deadline.extend(at_s)

    async def wait(self, *, timeout_s: float | None) -> Answer:
        """The answer, for one of those who wait; when the last one leaves, the computation is cancelled.

        Raises:
            DeadlineError: it was not there in time.
        """
        self._num_waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._future)
        except TimeoutError as exc:
            raise late_error() from exc
        finally:
            self._num_waiting -= 1
            if not self._num_waiting and not self._future.done():
                self.is_abandoned = True
                self._future.cancel()


class Flights:
    """All computations under way whose requests can be equal."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}

    def join_or_begin(
        self, key: Hashable | None, begin: Callable[[Deadline], asyncio.Future[Answer]], *, at_s: float | None
    ) -> Flight:
        """The computation under way for a key, or a new one.

        Args:
            key: equal for requests that have the same answer; None for one that stands alone.
            begin: starts computing.
            at_s: the deadline of the one who asks.
        """
        known = self._flights.get(key) if key is not None else None
        if known is not None and not known.is_abandoned:
            known.join(at_s)
            return known
        deadline = Deadline(at_s=at_s)
        future = begin(deadline)
        flight = Flight(future, deadline)
        if key is not None:
            self._flights[key] = flight
            future.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: Hashable, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
