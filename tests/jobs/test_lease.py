from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import jobs.lease
from inference_core.errors import JobError
from jobs.lease import LEASE_FILE, Lease, hold_lease, is_dead, is_living_here, new_lease, read_lease, start_of_process


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats and patience of a test."""
    monkeypatch.setattr(jobs.lease, "BEAT_INTERVAL_S", 0.05)
    monkeypatch.setattr(jobs.lease, "LOOK_INTERVAL_S", 0.02)
    monkeypatch.setattr(jobs.lease, "STALE_AFTER_S", 1.0)


def never_told(message: str) -> None:
    pytest.fail(f"nobody was to be waited for: {message}")


def put(folder: Path, lease: Lease) -> None:
    (folder / LEASE_FILE).write_text(lease.model_dump_json())


def test_a_lease_is_there_while_it_is_held_and_gone_afterwards(tmp_path: Path) -> None:
    with hold_lease(str(tmp_path), waits=False, say=never_told):
        found = read_lease(str(tmp_path))
        assert found is not None
        assert found.pid == os.getpid()
        assert is_living_here(found)
        assert not is_dead(found)
    assert list(tmp_path.iterdir()) == []


def test_it_is_given_back_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold_lease(str(tmp_path), waits=False, say=never_told):
        raise KeyError
    assert read_lease(str(tmp_path)) is None


def test_a_second_command_is_told_who_works_and_since_when(tmp_path: Path) -> None:
    with (
        hold_lease(str(tmp_path), waits=False, say=never_told),
        pytest.raises(JobError, match=rf"one command at a time .* process {os.getpid()} on \S+ since \d{{4}}-"),
        hold_lease(str(tmp_path), waits=False, say=never_told),
    ):
        pytest.fail("two hold it")


def test_a_second_command_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    told: list[str] = []
    is_told = threading.Event()
    order: list[str] = []

    def say(message: str) -> None:
        told.append(message)
        is_told.set()

    def second() -> None:
        with hold_lease(str(tmp_path), waits=True, say=say):
            order.append("second")

    with hold_lease(str(tmp_path), waits=True, say=never_told):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert is_told.wait(30)
        order.append("first")
    waiting.join(30)
    assert order == ["first", "second"]
    assert len(told) == 1
    assert f"process {os.getpid()} on" in told[0]


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.lease, "STALE_AFTER_S", 1e6)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    of_child = new_lease().model_copy(update={"pid": child.pid, "pid_started": start_of_process(child.pid)})
    put(tmp_path, of_child)
    assert is_living_here(of_child)
    child.kill()
    child.communicate()
    assert is_dead(of_child)
    with hold_lease(str(tmp_path), waits=False, say=never_told):
        pass


def test_a_number_that_another_process_has_by_now_is_no_life(tmp_path: Path) -> None:
    assert is_dead(new_lease().model_copy(update={"pid_started": "1"}))


def test_the_lease_of_another_machine_is_taken_when_its_beat_stops(tmp_path: Path) -> None:
    put(tmp_path, new_lease().model_copy(update={"host": "elsewhere", "token": "other"}))
    with hold_lease(str(tmp_path), waits=False, say=never_told):
        found = read_lease(str(tmp_path))
        assert found is not None
        assert found.host != "elsewhere"


def test_the_lease_of_another_machine_holds_while_it_beats(tmp_path: Path) -> None:
    elsewhere = new_lease().model_copy(update={"host": "elsewhere", "token": "other"})
    put(tmp_path, elsewhere)
    is_over = threading.Event()
    beating = threading.Thread(target=jobs.lease.beat, args=(str(tmp_path), elsewhere, is_over))
    beating.start()
    try:
        with (
            pytest.raises(JobError, match="on elsewhere since"),
            hold_lease(str(tmp_path), waits=False, say=never_told),
        ):
            pytest.fail("two hold it")
    finally:
        is_over.set()
        beating.join()


def test_who_lost_the_lease_neither_beats_on_nor_takes_it_away(tmp_path: Path) -> None:
    other = new_lease()
    with hold_lease(str(tmp_path), waits=False, say=never_told):
        put(tmp_path, other)
    assert read_lease(str(tmp_path)) == other


def test_an_output_that_was_cleared_stays_so(tmp_path: Path) -> None:
    with hold_lease(str(tmp_path), waits=False, say=never_told):
        (tmp_path / LEASE_FILE).unlink()
        for thread in threading.enumerate():
            if thread.name == "lease":
                thread.join(30)  # it ends by itself
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{}", "nonsense"])
def test_a_damaged_lease_is_nobodys(tmp_path: Path, text: str) -> None:
    (tmp_path / LEASE_FILE).write_text(text)
    with hold_lease(str(tmp_path), waits=False, say=never_told):
        assert json.loads((tmp_path / LEASE_FILE).read_text())["pid"] == os.getpid()
