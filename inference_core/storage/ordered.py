"""Results of concurrent work in the order of the work, with a bounded number in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    submit: Callable[[Item], Future[Result]], items: Iterable[Item], *, concurrency: int
) -> Iterator[Result]:
    """Submit items and yield their results in order.

    Args:
        submit: starts the work of one item.
        items: read lazily, never more than ``concurrency`` ahead of the consumer.
        concurrency: at most this many are submitted and not yet yielded, at least 1.
    """
    remaining = iter(items)
    in_flight = deque(submit(item) for item in islice(remaining, concurrency))
    try:
        while in_flight:
            result = in_flight.popleft().result()
            in_flight.extend(submit(item) for item in islice(remaining, 1))
            yield result
    finally:
        for future in in_flight:
            future.cancel()
