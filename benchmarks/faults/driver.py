"""The command in a process of its own: started, waited for, struck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.integration.commands import ROOT

PATIENCE_S = 150.0
"""A command that takes longer hangs."""
LOOK_S = 0.02
IMPATIENT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "12"}
"""Ray's setting for how long a lost head is waited for: a minute would be most of the benchmark's time."""


class WrongError(Exception):
    """A run did not do what it must."""


class Driver:
    """``python -m jobs run ...``.

    Args:
        arguments: of the command.
        log: file for what it says.
    """

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._log = log
        self._file = log.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jobs", *arguments],
            cwd=ROOT,
            env=os.environ | IMPATIENT,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def said(self) -> str:
        """All that it wrote so far."""
        return self._log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait_until(self, is_time: Callable[[], bool], what: str, *, look_s: float = LOOK_S) -> None:
        """Wait for a moment while it runs.

        Args:
            is_time: whether it has come.
            what: it is, in words.
            look_s: between two looks.

        Raises:
            WrongError: it ended before, or the moment never came.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while not is_time():
            if self._process.poll() is not None:
                raise WrongError(f"ended with {self._process.returncode} before {what}: {self.last_line()}")
            if time.monotonic() > deadline_s:
                raise WrongError(f"never came to {what}")
            time.sleep(look_s)

    def finish(self, *codes: int, patience_s: float = PATIENCE_S) -> int:
        """Wait for its end.

        Args:
            codes: that are right.
            patience_s: before it counts as hanging.

        Raises:
            WrongError: it ended otherwise, or hangs.
        """
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise WrongError(f"hangs for {patience_s:g} s") from None
        if code not in codes:
            raise WrongError(f"ended with {code} for {' or '.join(map(str, codes))}: {self.last_line()}")
        if "Traceback" in self.said:
            raise WrongError(f"ended with {code} and a traceback: {self.last_line()}")
        return code

    def last_line(self) -> str:
        """The last thing that it said."""
        lines = self.said.strip().splitlines()
        return lines[-1][:300] if lines else "nothing said"

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._file.close()
