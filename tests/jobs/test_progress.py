from __future__ import annotations

import io
import json
import time
from datetime import datetime

import pytest
from rich.console import Console

from jobs.progress import MIN_COMMITS, BarProgress, Counter, LineProgress, LogFormat, make_progress
from tests.clocks import Clock


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


def test_the_time_left_is_told_once_more_than_the_start_is_known(counter: Counter, clock: Clock) -> None:
    told = []
    for _ in range(MIN_COMMITS + 1):
        clock.now_s += 10
        counter.add(num_rows=50, num_failed=0)
        told.append(counter.eta_s)
    assert told == [None, None, 750 / 5, 700 / 5]


def test_no_time_left_is_told_while_the_listing_goes_on(clock: Clock) -> None:
    counter = Counter(total=1000, done=900, is_whole=False, now_s=clock)
    for _ in range(MIN_COMMITS):
        clock.now_s += 10
        counter.add(num_rows=10, num_failed=0)
    assert (counter.eta_s, counter.eta_text, counter.total_text) == (None, "", "1,000+")
    counter.is_whole = True
    assert (counter.eta_s, counter.eta_text, counter.total_text) == (70.0, "1 min 10 s left", "1,000")


@pytest.mark.parametrize(
    ("done", "total", "expected"), [(0, 0, "100%"), (0, 7, "0%"), (999, 1000, "99%"), (1000, 1000, "100%")]
)
def test_all_is_done_only_at_the_end(done: int, total: int, expected: str) -> None:
    assert Counter(total=total, done=done).share_text == expected


def test_nothing_is_left_at_the_end(counter: Counter, clock: Clock) -> None:
    clock.now_s += 2
    counter.add(num_rows=900, num_failed=0)
    assert counter.eta_s == 0


def show(log_format: LogFormat, interval_s: float, counter: Counter, steps: int) -> None:
    with LineProgress(counter, log_format=log_format, interval_s=interval_s) as progress:
        for _ in range(steps):
            progress.advance(shard_id=0, num_rows=10, num_failed=1)


def test_text_lines(counter: Counter, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock.now_s += 2
    show("text", 0.0, counter, 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "images 110/1,000, 5.0/s, 1 failed",
        "images 120/1,000, 10.0/s, 2 failed",
        "images 130/1,000, 15.0/s, 3 failed, 58.0 s left",
    ]


def test_json_lines(counter: Counter, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    clock.now_s += 2
    show("json", 0.0, counter, 3)
    states = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert datetime.fromisoformat(states[2].pop("time")).tzinfo is not None
    assert states[2] == {
        "event": "progress",
        "stage": "images",
        "done": 130,
        "total": 1000,
        "is_whole": True,
        "failed": 3,
        "images_per_s": 15.0,
        "eta_s": 58.0,
    }
    assert [state["done"] for state in states] == [110, 120, 130]
    assert [state["eta_s"] for state in states[:2]] == [None, None]


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
    progress.advance(shard_id=0, num_rows=1, num_failed=0)
    progress.advance(shard_id=0, num_rows=1, num_failed=0)
    progress.__exit__(RuntimeError, RuntimeError(), None)
    assert capsys.readouterr().err.splitlines()[-1].startswith("images 102/1,000")


def test_a_long_shard_leaves_the_log_with_signs_of_life(counter: Counter, capsys: pytest.CaptureFixture[str]) -> None:
    with LineProgress(counter, log_format="text", sign_of_life_s=0.01) as progress:
        deadline_s = time.monotonic() + 30
        said = ""
        while said.count("images 100/1,000") < 2 and time.monotonic() < deadline_s:
            time.sleep(0.01)
            said += capsys.readouterr().err
    assert said.count("images 100/1,000") >= 2
    assert isinstance(progress, LineProgress)


def test_a_listing_that_grows_counts_against_the_new_total(
    counter: Counter, capsys: pytest.CaptureFixture[str]
) -> None:
    with LineProgress(counter, log_format="text", interval_s=0.0) as progress:
        progress.extend(num_rows=5000, num_shards=50, is_whole=False)
        progress.advance(shard_id=0, num_rows=1, num_failed=0)
        progress.extend(num_rows=6000, num_shards=60, is_whole=True)
        progress.advance(shard_id=1, num_rows=1, num_failed=0)
    assert [line.split(",0/s")[0].split(", ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "images 101/5,000+",
        "images 102/6,000",
    ]


def test_a_terminal_gets_a_bar(counter: Counter) -> None:
    screen = io.StringIO()
    progress = make_progress(counter, log_format="text", console=Console(file=screen, force_terminal=True, width=120))
    assert isinstance(progress, BarProgress)
    with progress:
        progress.advance(shard_id=0, num_rows=900, num_failed=2)
    assert "1,000/1,000" in screen.getvalue()
    assert "100%" in screen.getvalue()
    assert "2 failed" in screen.getvalue()


@pytest.mark.parametrize(("is_terminal", "log_format"), [(False, "text"), (True, "json"), (False, "json")])
def test_everything_else_gets_lines(counter: Counter, is_terminal: bool, log_format: LogFormat) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal)
    assert isinstance(make_progress(counter, log_format=log_format, console=console), LineProgress)
