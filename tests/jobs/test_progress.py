from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from jobs.progress import BarProgress, Counter, LineProgress, LogFormat, make_progress


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counter(clock: Clock) -> Counter:
    return Counter(total=1000, done=100, now_s=clock)


def test_a_counter_counts_only_what_this_command_did_as_its_rate(counter: Counter, clock: Clock) -> None:
    assert (counter.done, counter.failed, counter.rows_per_s, counter.eta_s) == (100, 0, 0.0, None)
    clock.now_s += 10
    counter.add(num_rows=50, num_failed=1)
    assert (counter.done, counter.failed) == (150, 1)
    assert counter.rows_per_s == 5.0
    assert counter.eta_s == 850 / 5


def test_a_rate_is_not_told_from_less_than_a_second(counter: Counter, clock: Clock) -> None:
    clock.now_s += 0.5
    counter.add(num_rows=50, num_failed=0)
    assert (counter.rows_per_s, counter.eta_s) == (0.0, None)


def test_the_rate_forgets_what_was_long_ago(counter: Counter, clock: Clock) -> None:
    for _ in range(100):
        clock.now_s += 1
        counter.add(num_rows=1, num_failed=0)
    for _ in range(40):
        clock.now_s += 1
        counter.add(num_rows=10, num_failed=0)
    assert counter.rows_per_s == pytest.approx(10.0, rel=0.05)


def test_nothing_is_left_at_the_end(counter: Counter, clock: Clock) -> None:
    clock.now_s += 2
    counter.add(num_rows=900, num_failed=0)
    assert counter.eta_s == 0


def show(log_format: LogFormat, interval_s: float, counter: Counter, steps: int) -> None:
    with LineProgress(counter, log_format=log_format, interval_s=interval_s) as progress:
        for _ in range(steps):
            progress.advance(num_rows=10, num_failed=1)


def test_text_lines(counter: Counter, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock.now_s += 2
    show("text", 0.0, counter, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "images 110/1,000, 5.0/s, 1 failed, 178 s left",
        "images 120/1,000, 10.0/s, 2 failed, 88 s left",
    ]


def test_json_lines(counter: Counter, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock.now_s += 2
    show("json", 0.0, counter, 2)
    states = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert states[0] == {
        "event": "progress",
        "done": 110,
        "total": 1000,
        "failed": 1,
        "images_per_s": 5.0,
        "eta_s": 178.0,
    }
    assert [state["done"] for state in states] == [110, 120]


def test_lines_come_no_more_often_than_asked(counter: Counter, capsys: pytest.CaptureFixture[str]) -> None:
    show("text", 60.0, counter, 5)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["images 150/1"]


def test_a_run_that_did_nothing_says_where_it_stands(counter: Counter, capsys: pytest.CaptureFixture[str]) -> None:
    show("json", 60.0, counter, 0)
    (state,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (state["done"], state["eta_s"], state["images_per_s"]) == (100, None, 0)


def test_the_last_state_is_shown_when_the_run_breaks(counter: Counter, capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress(counter, log_format="text", interval_s=60.0)
    progress.advance(num_rows=1, num_failed=0)
    progress.advance(num_rows=1, num_failed=0)
    progress.__exit__(RuntimeError, RuntimeError(), None)
    assert capsys.readouterr().err.splitlines()[-1].startswith("images 102/1,000")


def test_a_terminal_gets_a_bar(counter: Counter) -> None:
    screen = io.StringIO()
    progress = make_progress(counter, log_format="text", console=Console(file=screen, force_terminal=True, width=120))
    assert isinstance(progress, BarProgress)
    with progress:
        progress.advance(num_rows=900, num_failed=2)
    assert "1,000/1,000" in screen.getvalue()
    assert "2 failed" in screen.getvalue()


@pytest.mark.parametrize(("is_terminal", "log_format"), [(False, "text"), (True, "json"), (False, "json")])
def test_everything_else_gets_lines(counter: Counter, is_terminal: bool, log_format: LogFormat) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal)
    assert isinstance(make_progress(counter, log_format=log_format, console=console), LineProgress)
