from __future__ import annotations

import os
import signal
import threading

import pytest

from inference_core.commands.kind_stop import KindStop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_step_that_was_begun_is_ended_before_the_loop(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    begun: list[int] = []
    ended: list[int] = []
    before = signal.getsignal(number)
    with KindStop() as stop:
        for index in range(5):
            with stop.step():
                begun.append(index)
                if index == 2:
                    os.kill(os.getpid(), number)
                ended.append(index)
    assert begun == ended == [0, 1, 2]
    assert capsys.readouterr().err == "interrupted; what was seen until now is kept\n"
    assert signal.getsignal(number) is before


def test_between_steps_the_loop_ends_at_once() -> None:
    seen = []
    with KindStop() as stop:
        for index in range(5):
            if index == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            with stop.step():
                seen.append(index)
    assert seen == [0, 1, 2]


def test_a_second_request_ends_a_step() -> None:
    seen = []
    with KindStop() as stop, stop.step():
        for index in range(5):
            seen.append(index)
            os.kill(os.getpid(), signal.SIGTERM)
    assert seen == [0, 1]


def test_other_errors_and_threads_are_left_alone() -> None:
    with pytest.raises(ValueError, match="mine"), KindStop() as stop, stop.step():
        raise ValueError("mine")
    seen = []

    def work() -> None:
        with KindStop() as stop, stop.step():
            seen.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1]
