"""Some of a listing, spread evenly over it, while it streams by and its length is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class SpreadSample(Generic[T]):
    """Every n-th element, n doubling as the stream goes on.

    Args:
        max_size: of the sample; it holds at least half as many of a stream that is long enough.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._stride = 1
        self._count = 0
        self.kept: list[T] = []

    def watch(self, elements: Iterable[T]) -> Iterator[T]:
        """The elements as they come; some are kept."""
        for element in elements:
            if self._count % self._stride == 0:
                self._keep(element)
            self._count += 1
            yield element

    def _keep(self, element: T) -> None:
        if len(self.kept) == self._max_size:
            self.kept = self.kept[::2]
            self._stride *= 2
            if self._count % self._stride:
                return
        self.kept.append(element)
