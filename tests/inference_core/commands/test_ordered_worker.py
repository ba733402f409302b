from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from inference_core.commands.ordered_worker import OrderedWorker


def test_nothing_is_nothing() -> None:
    with OrderedWorker():
        pass


def test_work_is_done_in_order_by_one_other_thread() -> None:
    done: list[tuple[int, int]] = []
    with OrderedWorker(max_waiting=3) as worker:
        for index in range(50):
            worker.do(lambda index=index: done.append((index, threading.get_ident())))  # type: ignore[misc]
    assert [index for index, _ in done] == list(range(50))
    (thread,) = {ident for _, ident in done}
    assert thread != threading.get_ident()


def test_no_more_than_so_much_waits() -> None:
    gate = threading.Event()
    given: list[int] = []

    def give(worker: OrderedWorker) -> None:
        for index in range(6):
            worker.do(gate.wait)  # type: ignore[arg-type]
            given.append(index)

    with OrderedWorker(max_waiting=2) as worker:
        giver = threading.Thread(target=give, args=(worker,))
        giver.start()
        giver.join(timeout=0.3)
        assert giver.is_alive()
        assert given == [0, 1]
        gate.set()
        giver.join()
    assert given == list(range(6))


def fail() -> None:
    raise ValueError("no room")


def work(*pieces: Callable[[], None], max_waiting: int = 16, error: BaseException | None = None) -> None:
    """Give pieces of work, then raise."""
    with OrderedWorker(max_waiting=max_waiting) as worker:
        for piece in pieces:
            worker.do(piece)
        if error is not None:
            raise error


def test_what_goes_wrong_is_raised_at_the_next_piece() -> None:
    done: list[int] = []
    with pytest.raises(ValueError, match="no room"):
        work(fail, lambda: done.append(1), lambda: done.append(2), max_waiting=1)
    assert done == []


def test_what_goes_wrong_is_raised_at_the_end() -> None:
    with pytest.raises(ValueError, match="no room"):
        work(fail)


def test_an_error_of_the_giver_comes_first_but_what_was_given_is_done() -> None:
    done: list[int] = []
    with pytest.raises(KeyError):
        work(lambda: done.append(1), fail, error=KeyError("mine"))
    assert done == [1]


def test_an_interruption_does_not_hide_an_error() -> None:
    with pytest.raises(ValueError, match="no room"):
        work(fail, error=KeyboardInterrupt())


def test_an_interruption_of_the_waiting_ends_with_the_piece_that_runs() -> None:
    done: list[int] = []

    def interrupt_and_work() -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        done.append(1)

    with pytest.raises(KeyboardInterrupt):
        work(interrupt_and_work, lambda: time.sleep(0.2), lambda: done.append(2))
    assert done == [1]
    time.sleep(0.3)
    assert done == [1]


def test_all_that_was_given_can_be_waited_for() -> None:
    done: list[int] = []
    with OrderedWorker() as worker:
        worker.do(lambda: time.sleep(0.1))
        worker.do(lambda: done.append(1))
        worker.wait()
        assert done == [1]
        worker.do(fail)
        with pytest.raises(ValueError, match="no room"):
            worker.wait()
