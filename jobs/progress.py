"""How a run shows that it goes on: a bar on a terminal, a line every few seconds elsewhere, JSON where asked."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from jobs.json_events import write_event
from jobs.report.number_text import duration_text, rate_text

LINE_INTERVAL_S = 5.0
MIN_COMMITS = 3
"""No time left is told before so many: the first ones only show how long the start took."""
SIGN_OF_LIFE_S = 60.0
"""Without a commit for so long there is a line all the same."""
WINDOW_S = 30.0
"""The rate is that of the last so many seconds."""
LogFormat = Literal["text", "json"]
IMAGES = "images"
"""What the work itself counts; only these can fail."""
NAME_WIDTH = 12
"""Of names before bars, so that those of several stages begin one below the other."""


class RunProgress(Protocol):
    """Told of every committed shard."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the last state and stop."""

    def advance(self, *, shard_id: int, num_rows: int, num_failed: int) -> None:
        """A shard of ``num_rows`` was committed, ``num_failed`` of them without result."""

    def extend(self, *, num_rows: int, num_shards: int, is_whole: bool) -> None:
        """More of the input is listed: so much by now, and whether that is all."""

    def say(self, message: str) -> None:
        """Something happened that a user wants to know of."""


class Counter:
    """Rows done and how fast, and how many of those of this command have no result.

    Args:
        total: rows of the run.
        done: rows that earlier commands committed.
        is_whole: whether the total is known, and not only that of what is listed so far.
        now_s: a clock in seconds.
    """

    def __init__(
        self, *, total: int, done: int, is_whole: bool = True, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.total, self.done, self.failed, self.is_whole = total, done, 0, is_whole
        self._num_commits = 0
        self._now_s = now_s
        self._marks = deque([(now_s(), done)])

    def add(self, *, num_rows: int, num_failed: int) -> None:
        """Count a shard."""
        self.done += num_rows
        self.failed += num_failed
        self._num_commits += 1
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
        """Seconds left at this rate; None before anything is known, and while the total grows."""
        rate = self.rows_per_s
        if self.done < self.total and (self._num_commits < MIN_COMMITS or not self.is_whole):
            return None
        return (self.total - self.done) / rate if rate else None

    @property
    def total_text(self) -> str:
        """The total, with a plus while it grows."""
        return f"{self.total:,}" if self.is_whole else f"{self.total:,}+"

    @property
    def share_text(self) -> str:
        """Share of the total that is done; 100 % only at the end."""
        return f"{100 * self.done // self.total if self.total else 100}%"

    @property
    def eta_text(self) -> str:
        """The time left, "" where it is not known."""
        return "" if self.eta_s is None else f"{duration_text(self.eta_s)} left"


class CounterColumn(ProgressColumn):
    """A column that says something of the counter whenever the bar is drawn, and not only at a commit."""

    def __init__(self, text: Callable[[], str], *, style: str = "") -> None:
        super().__init__()
        self._text = text
        self._style = style

    def render(self, task: Task) -> Text:
        """The text of the moment."""
        return Text(self._text(), style=self._style)


class BarProgress:
    """A bar for a person at a terminal; those of several stages stand one below the other.

    Args:
        counter: what is told.
        console: of the terminal.
        name: of what is counted.
    """

    def __init__(self, counter: Counter, console: Console, *, name: str = IMAGES) -> None:
        self._counter = counter
        failed = [CounterColumn(lambda: f"{counter.failed:,} failed", style="red")] if name == IMAGES else []
        self._progress = Progress(
            TextColumn(f"{name:<{NAME_WIDTH}}"),
            BarColumn(),
            CounterColumn(lambda: counter.share_text),
            CounterColumn(lambda: f"{counter.done:,}/{counter.total_text}"),
            CounterColumn(lambda: f"{rate_text(counter.rows_per_s)}/s"),
            *failed,
            CounterColumn(lambda: counter.eta_text),
            console=console,
        )
        self._task = self._progress.add_task(name, total=counter.total, completed=counter.done)

    def __enter__(self) -> Self:
        """Draw the bar."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()

    def advance(self, *, shard_id: int, num_rows: int, num_failed: int) -> None:
        """Move the bar."""
        self._counter.add(num_rows=num_rows, num_failed=num_failed)
        self._progress.update(self._task, completed=self._counter.done)

    def extend(self, *, num_rows: int, num_shards: int, is_whole: bool) -> None:
        """Lengthen the bar."""
        self._counter.total, self._counter.is_whole = num_rows, is_whole
        self._progress.update(self._task, total=num_rows)

    def say(self, message: str) -> None:
        """Write a line above the bar."""
        self._progress.console.print(message, markup=False, highlight=False)


class LineProgress:
    """A line now and then for a log file, as text or as JSON.

    Args:
        counter: what is told.
        log_format: of the lines.
        name: of what is counted.
        interval_s: between two lines at least, while shards are committed.
        sign_of_life_s: between two lines at most.
    """

    def __init__(
        self,
        counter: Counter,
        *,
        log_format: LogFormat,
        name: str = IMAGES,
        interval_s: float = LINE_INTERVAL_S,
        sign_of_life_s: float = SIGN_OF_LIFE_S,
    ) -> None:
        self._counter = counter
        self._log_format = log_format
        self._name = name
        self._interval_s = interval_s
        self._sign_of_life_s = sign_of_life_s
        self._last_line_s = time.monotonic()
        self._written_done: int | None = None
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._signs = threading.Thread(target=self._give_signs, name="progress", daemon=True)

    def __enter__(self) -> Self:
        """Say nothing yet."""
        self._signs.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say where it ended, unless the last line does."""
        self._is_over.set()
        if self._signs.is_alive():
            self._signs.join()
        if self._written_done != self._counter.done:
            self._write()

    def advance(self, *, shard_id: int, num_rows: int, num_failed: int) -> None:
        """Say it where the last line is old enough."""
        self._counter.add(num_rows=num_rows, num_failed=num_failed)
        if time.monotonic() >= self._last_line_s + self._interval_s:
            self._write()

    def extend(self, *, num_rows: int, num_shards: int, is_whole: bool) -> None:
        """Count against the new total from the next line on."""
        self._counter.total, self._counter.is_whole = num_rows, is_whole

    def say(self, message: str) -> None:
        """Write a line of its own."""
        write_notice(message, log_format=self._log_format)

    def _give_signs(self) -> None:
        """Write where nothing else gives a reason to, until it is over."""
        while not self._is_over.wait(max(0.0, self._last_line_s + self._sign_of_life_s - time.monotonic())):
            if time.monotonic() >= self._last_line_s + self._sign_of_life_s:
                self._write()

    def _write(self) -> None:
        with self._lock:
            self._last_line_s = time.monotonic()
            self._written_done = self._counter.done
            write = write_json_line if self._log_format == "json" else write_text_line
            write(self._counter, name=self._name)


def write_json_line(counter: Counter, *, name: str = IMAGES) -> None:
    """The state as an event."""
    state = {
        "stage": name,
        "done": counter.done,
        "total": counter.total,
        "is_whole": counter.is_whole,
        "failed": counter.failed,
        "images_per_s": round(counter.rows_per_s, 2),
        "eta_s": None if counter.eta_s is None else round(counter.eta_s, 1),
    }
    write_event("progress", state)


def write_text_line(counter: Counter, *, name: str = IMAGES) -> None:
    """The state in words."""
    words = [
        f"{name} {counter.done:,}/{counter.total_text}",
        *([f"{counter.rows_per_s:,.1f}/s"] if name == IMAGES or counter.rows_per_s else []),
        *([f"{counter.failed:,} failed"] if name == IMAGES else []),
        *([counter.eta_text] if counter.eta_text else []),
    ]
    sys.stderr.write(", ".join(words) + "\n")
    sys.stderr.flush()


def write_notice(message: str, *, log_format: LogFormat) -> None:
    """A line on standard error that tells of something."""
    if log_format == "json":
        write_event("notice", {"message": message})
        return
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def make_progress(counter: Counter, *, log_format: LogFormat, console: Console, name: str = IMAGES) -> RunProgress:
    """The kind of progress that suits where the output goes."""
    if console.is_terminal and log_format == "text":
        return BarProgress(counter, console, name=name)
    return LineProgress(counter, log_format=log_format, name=name)
