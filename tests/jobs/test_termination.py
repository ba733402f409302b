from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import time
from jobs.termination import exit_on_sigterm
exit_on_sigterm()
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    print("in order", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGTERM, 143, "in order\n"), (signal.SIGKILL, -9, "")], ids=["term", "kill"]
)
def test_sigterm_ends_in_order_with_its_code(number: int, code: int, said: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read() == said
        assert process.wait(30) == code
