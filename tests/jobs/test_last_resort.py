from __future__ import annotations

import subprocess
import sys

from jobs.last_resort import ended_if_stuck

STUCK = """
import threading
from jobs.last_resort import ended_if_stuck

def find_reason():
    return next(answers)

answers = iter([None, None, "the run stopped: s3://bucket/a?X-Amz-Signature=secret hangs"])
held = threading.Lock()
held.acquire()
with ended_if_stuck(find_reason, interval_s=0.01):
    try:
        held.acquire()
    finally:
        print("never said")
"""


def test_a_process_that_is_stuck_is_ended_with_a_message() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: the run stopped: s3://bucket/a?")
    assert "secret" not in ended.stderr
    assert ended.stdout == ""


def test_nobody_is_asked_once_the_work_is_done() -> None:
    asked = []
    with ended_if_stuck(lambda: asked.append(1), interval_s=1000):
        pass
    assert not asked
