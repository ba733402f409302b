from __future__ import annotations

import copy
import pickle
import signal
import subprocess
import sys
import threading

import pytest

from jobs.draining import StopFlag, drained_on_sigterm

PROGRAM = """
import sys, time
from jobs.draining import StopFlag, drained_on_sigterm
from jobs.termination import exit_on_sigterm
exit_on_sigterm()
flag = StopFlag()
with drained_on_sigterm(flag, grace_s=float(sys.argv[1])):
    print("ready", flush=True)
    while not flag.is_asked:
        time.sleep(0.01)
    print("asked", flush=True)
    if sys.argv[2] == "idle":
        flag.note_idle()
    for _ in range(0 if sys.argv[2] == "done" else 600):
        time.sleep(0.1)  # short: a signal that comes just before a sleep does not end it
print("over", flush=True)
time.sleep(float(sys.argv[1]) + 0.2 if sys.argv[2] == "done" else 0)
"""


@pytest.mark.parametrize(
    ("grace", "kind", "said", "code"),
    [
        pytest.param("0.1", "busy", "", 143, id="the-grace-is-over"),
        pytest.param("60", "idle", "", 143, id="nothing-is-under-way"),
        pytest.param("0.3", "done", "over\n", 0, id="all-was-done-in-time"),
    ],
)
def test_sigterm_lets_what_is_under_way_end(grace: str, kind: str, said: str, code: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, grace, kind], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        assert process.stdout.read() == said
        assert process.wait(30) == code


def test_a_second_sigterm_ends_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "60", "busy"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in ("ready\n", "asked\n"):
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143


def test_the_flag_is_one_in_this_process_and_unset_elsewhere() -> None:
    flag = StopFlag()
    assert copy.deepcopy({"flag": flag})["flag"] is flag
    flag.ask()
    assert flag.is_asked
    assert not pickle.loads(pickle.dumps(flag)).is_asked


def test_waiting_ends_when_nothing_is_under_way() -> None:
    flag = StopFlag()
    flag.wait_idle(0.01)
    flag.note_idle()
    flag.wait_idle(60)


def test_other_threads_leave_signals_alone() -> None:
    seen = []

    def work() -> None:
        with drained_on_sigterm(StopFlag(), grace_s=1):
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
    with drained_on_sigterm(StopFlag(), grace_s=1):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
