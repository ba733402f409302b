"""What is done behind the images, such as drawing them, shows its progress as they do: a bar, or lines, each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Protocol, TypeVar

from rich.console import Console

from jobs.progress import Counter, LogFormat, RunProgress, make_progress

T = TypeVar("T")

Advance = Callable[[int], None]
"""Called with how many more are done."""


class Stages(Protocol):
    """Begins a stage: its name, such as ``pictures``, and how many there are."""

    def __call__(self, name: str, *, total: int) -> AbstractContextManager[Advance]:
        """A context that is the stage; what it gives is called as the stage goes on."""


def silent_stages(name: str, *, total: int) -> AbstractContextManager[Advance]:
    """Shows nothing."""
    return nullcontext(lambda _: None)


def count_items(items: Iterable[T], name: str, *, total: int, stages: Stages) -> Iterator[T]:
    """The same items, while a stage shows how many there were.

    Args:
        items: one after the other.
        name: of the stage.
        total: how many there will be.
        stages: show it.
    """
    with stages(name, total=total) as advance:
        for item in items:
            yield item
            advance(1)


class ShownStage:
    """One stage.

    Args:
        progress: shows it.
    """

    def __init__(self, progress: RunProgress) -> None:
        self._progress = progress

    def __enter__(self) -> Advance:
        """Begin to show."""
        self._progress.__enter__()
        return self.advance

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state and stop."""
        self._progress.__exit__(kind, error, trace)

    def advance(self, num_done: int) -> None:
        """So many more are done."""
        self._progress.advance(shard_id=-1, num_rows=num_done, num_failed=0)


def shown_stages(console: Console, *, log_format: LogFormat) -> Stages:
    """Stages as the command line shows them; one of nothing shows nothing."""

    def begin(name: str, *, total: int) -> AbstractContextManager[Advance]:
        if not total:
            return silent_stages(name, total=total)
        counter = Counter(total=total, done=0)
        return ShownStage(make_progress(counter, log_format=log_format, console=console, name=name))

    return begin
