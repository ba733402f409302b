"""How a run shows that it goes on: a bar on a terminal, a line every few seconds elsewhere, JSON where asked."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_INTERVAL_S = 5.0
WINDOW_S = 30.0
"""The rate is that of the last so many seconds."""
LogFormat = Literal["text", "json"]


class RunProgress(Protocol):
    """Told of every committed shard."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state and stop."""

    def advance(self, *, num_rows: int, num_failed: int) -> None:
        """A shard of ``num_rows`` was committed, ``num_failed`` of them without result."""

    def extend(self, *, total: int) -> None:
        """More of the input is listed: ``total`` rows by now."""

    def say(self, message: str) -> None:
        """Something happened that a user wants to know of."""


class Counter:
    """Rows done and how fast, and how many of those of this command have no result.

    Args:
        total: rows of the run.
        done: rows that earlier commands committed.
        now_s: a clock in seconds.
    """

    def __init__(self, *, total: int, done: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done, self.failed = total, done, 0
        self._now_s = now_s
        self._marks = deque([(now_s(), done)])

    def add(self, *, num_rows: int, num_failed: int) -> None:
        """Count a shard."""
        self.done += num_rows
        self.failed += num_failed
        self._marks.append((self._now_s(), self.done))
        while len(self._marks) > 2 and self._marks[1][0] < self._now_s() - WINDOW_S:
            self._marks.popleft()

    @property
    def rows_per_s(self) -> float:
        """Rows per second of late; 0 before a second has passed."""
        then_s, then_done = self._marks[0]
        elapsed_s = self._now_s() - then_s
        return (self.done - then_done) / elapsed_s if elapsed_s >= 1 else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at this rate; None before anything is known."""
        rate = self.rows_per_s
        return (self.total - self.done) / rate if rate else None


class BarProgress:
    """A bar for a person at a terminal."""

    def __init__(self, counter: Counter, console: Console) -> None:
        self._counter = counter
        self._progress = Progress(
            TextColumn("images"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TextColumn("[red]{task.fields[failed]:,} failed", justify="right"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task(
            "images", total=counter.total, completed=counter.done, rate=0.0, failed=counter.failed
        )

    def __enter__(self) -> Self:
        """Draw the bar."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()

    def advance(self, *, num_rows: int, num_failed: int) -> None:
        """Move the bar."""
        counter = self._counter
        counter.add(num_rows=num_rows, num_failed=num_failed)
        self._progress.update(self._task, completed=counter.done, rate=counter.rows_per_s, failed=counter.failed)

    def extend(self, *, total: int) -> None:
        """Lengthen the bar."""
        self._counter.total = total
        self._progress.update(self._task, total=total)

    def say(self, message: str) -> None:
        """Write a line above the bar."""
        self._progress.console.print(message, markup=False, highlight=False)


class LineProgress:
    """A line now and then for a log file, as text or as JSON."""

    def __init__(self, counter: Counter, *, log_format: LogFormat, interval_s: float = LINE_INTERVAL_S) -> None:
        self._counter = counter
        self._log_format = log_format
        self._interval_s = interval_s
        self._next_line = time.monotonic() + interval_s
        self._written_done: int | None = None

    def __enter__(self) -> Self:
        """Say nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say where it ended, unless the last line does."""
        if self._written_done != self._counter.done:
            self._write()

    def advance(self, *, num_rows: int, num_failed: int) -> None:
        """Say it where the last line is old enough."""
        self._counter.add(num_rows=num_rows, num_failed=num_failed)
        if time.monotonic() >= self._next_line:
            self._write()
            self._next_line = time.monotonic() + self._interval_s

    def extend(self, *, total: int) -> None:
        """Count against the new total from the next line on."""
        self._counter.total = total

    def say(self, message: str) -> None:
        """Write a line of its own."""
        write_notice(message, log_format=self._log_format)

    def _write(self) -> None:
        counter = self._counter
        self._written_done = counter.done
        if self._log_format == "json":
            state = {
                "event": "progress",
                "done": counter.done,
                "total": counter.total,
                "failed": counter.failed,
                "images_per_s": round(counter.rows_per_s, 2),
                "eta_s": None if counter.eta_s is None else round(counter.eta_s, 1),
            }
            sys.stderr.write(json.dumps(state) + "\n")
        else:
            eta = "" if counter.eta_s is None else f", {counter.eta_s:,.0f} s left"
            sys.stderr.write(
                f"images {counter.done:,}/{counter.total:,}, {counter.rows_per_s:,.1f}/s, {counter.failed:,} "
                f"failed{eta}\n"
            )
        sys.stderr.flush()


def write_notice(message: str, *, log_format: LogFormat) -> None:
    """A line on standard error that tells of something."""
    line = json.dumps({"event": "notice", "message": message}) if log_format == "json" else message
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def make_progress(counter: Counter, *, log_format: LogFormat, console: Console) -> RunProgress:
    """The kind of progress that suits where the output goes."""
    if console.is_terminal and log_format == "text":
        return BarProgress(counter, console)
    return LineProgress(counter, log_format=log_format)
