from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core import storage
from inference_core.errors import StorageError
from jobs.attempts import AttemptRecord, note_attempt, noted_end, read_attempts, read_ends, worked_s


def attempt(started_s: float) -> AttemptRecord:
    return AttemptRecord(
        started_s=started_s, layout="whole", layout_reason="why", actors=2, num_cores=4, versions={"python": "3"}
    )


def span(ended_s: float) -> tuple[float, float]:
    return ended_s - 0.25, ended_s


def test_an_output_without_attempts(tmp_path: Path) -> None:
    assert read_attempts(str(tmp_path)) == []


def test_attempts_are_numbered_and_read_in_order(tmp_path: Path) -> None:
    for started_s in (3.0, 1.0, 2.0):
        note_attempt(str(tmp_path), attempt(started_s))
    assert sorted(path.name for path in (tmp_path / "_attempts").iterdir()) == ["0001.json", "0002.json", "0003.json"]
    assert [found.started_s for found in read_attempts(str(tmp_path))] == [3.0, 1.0, 2.0]
    assert read_attempts(str(tmp_path))[0] == attempt(3.0)


def test_a_number_that_another_command_took_meanwhile_is_left_to_it(tmp_path: Path) -> None:
    note_attempt(str(tmp_path), attempt(1.0))
    (tmp_path / "_attempts" / "0001.json").rename(tmp_path / "_attempts" / "0002.json")
    note_attempt(str(tmp_path), attempt(2.0))
    assert [found.started_s for found in read_attempts(str(tmp_path))] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        pytest.param([], [], 0.0, id="nothing"),
        pytest.param([100.0], [], 0.0, id="an-attempt-without-commits"),
        pytest.param([100.0], [110.0, 130.0, 120.0], 30.0, id="to-the-last-commit"),
        pytest.param([100.0, 1000.0], [110.0, 130.0, 1005.0], 35.0, id="not-the-pause-between-attempts"),
        pytest.param([100.0, 1000.0, 2000.0], [130.0, 2010.0], 40.0, id="an-attempt-that-did-nothing"),
        pytest.param([1000.0, 100.0], [130.0, 1005.0], 35.0, id="in-any-order"),
        pytest.param([100.0], [1e12], 1e12 - 100.0, id="a-clock-that-is-ahead"),
        pytest.param([100.0], [50.0], 0.0, id="a-clock-that-is-behind"),
    ],
)
def test_worked_s(starts: list[float], ends: list[float], expected: float) -> None:
    assert worked_s(map(attempt, starts), map(span, ends)) == expected


TIMES = st.lists(st.integers(0, 10**6).map(float), max_size=8)


@given(TIMES, TIMES)
def test_work_is_never_longer_than_from_the_first_start_to_the_last_commit(
    starts: list[float], ends: list[float]
) -> None:
    worked = worked_s(map(attempt, starts), map(span, ends))
    assert 0 <= worked <= max([0.0, *(end - start for start in starts for end in ends)])


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit], ids=str)
def test_how_an_attempt_ended_is_kept_whatever_ended_it(tmp_path: Path, error: type[BaseException] | None) -> None:
    output = str(tmp_path)
    before_s = time.time()
    for started_s in (1.0, 2.0):
        note_attempt(output, attempt(started_s))
    with nullcontext() if error is None else pytest.raises(error), noted_end(output, started_s=2.0):
        if error is not None:
            raise error
    (end,) = read_ends(output)
    assert end.ended_s >= before_s
    assert end.driver_peak_bytes is not None
    assert (tmp_path / "_attempts" / "0002-end.json").is_file()
    assert [found.started_s for found in read_attempts(output)] == [1.0, 2.0]
    note_attempt(output, attempt(3.0))
    assert (tmp_path / "_attempts" / "0003.json").is_file()


def test_a_command_without_an_attempt_leaves_no_end(tmp_path: Path) -> None:
    with noted_end(str(tmp_path), started_s=1.0):
        pass
    assert read_ends(str(tmp_path)) == []


def test_what_ended_an_attempt_is_told_and_not_that_the_store_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_attempt(str(tmp_path), attempt(1.0))

    def full(uri: str, data: bytes) -> bool:
        raise StorageError("the disk is full")

    monkeypatch.setattr(storage, "create", full)
    with pytest.raises(ValueError, match="the cause"), noted_end(str(tmp_path), started_s=1.0):
        raise ValueError("the cause")
    with pytest.raises(StorageError, match="full"), noted_end(str(tmp_path), started_s=1.0):
        pass
