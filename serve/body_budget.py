"""How many bytes of bodies this process holds at once: many large requests are not more memory than some."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from serve.errors import OverloadedError


class BodyBudget:
    """Counts bytes of bodies that are held.

    Args:
        max_bytes: of all bodies together.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.used_bytes = 0

    def share(self) -> BodyShare:
        """The part of one request, given back when its block ends."""
        return BodyShare(self)

    def take(self, num_bytes: int) -> None:
        """Count bytes that have come.

        Raises:
            OverloadedError: they are too many, with those of all other requests.
        """
        if self.used_bytes + num_bytes > self._max_bytes:
            raise OverloadedError(
                "the service holds as many bytes of requests as it may; send this one again later", retry_after_s=1
            )
        self.used_bytes += num_bytes

    def give(self, num_bytes: int) -> None:
        """Bytes that are held no more."""
        self.used_bytes -= num_bytes


class BodyShare:
    """What one request holds of a budget.

    Args:
        budget: of the process.
    """

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._held = 0

    def take(self, num_bytes: int) -> None:
        """Hold more bytes.

        Raises:
            OverloadedError: see ``BodyBudget.take``.
        """
        self._budget.take(num_bytes)
        self._held += num_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None) -> None:
        self._budget.give(self._held)
        self._held = 0
