"""A child process of the quarantine as its parent sees it: asked for one task after the other, watched, ended."""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from jobs.isolated import Message, Task
from jobs.sink import Receipt
from jobs.stage_settings import StageSettings

WATCH_INTERVAL_S = 0.05
"""How often the memory of a child is looked at."""
LOAD_TIMEOUT_S = 900.0
"""Of loading the model, which may have to be downloaded."""
END_TIMEOUT_S = 10.0
"""Of a child that has closed its end of the pipe: a dump of its memory takes a while."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a child ended, or had to be ended, before it had done its task."""

    how: str
    positions: tuple[int, ...]
    """Of the images that it worked on; none where it was loading, reading the listing or committing."""


class IsolatedProcess:
    """A child that is started when it is needed, and again after each death.

    Args:
        settings: what actors are told too, with the limits of a child.
    """

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._loaded_bytes = 0

    def ask(self, task: Task) -> Receipt | Death | None:
        """Let the child do a task.

        Returns:
            A receipt, None for a trial that went well, or how the child died on it.

        Raises:
            Exception: whatever the work raised.
        """
        if self._child is None:
            death = self._start()
            if death is not None:
                return death
        try:
            self._send(task)
        except BrokenPipeError:
            return self._bury("", ())
        return self._watch(timeout_s=self._settings.image_timeout_s, max_bytes=self._settings.image_memory_bytes)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._bury("it is no longer needed", ())

    def _start(self) -> Death | None:
        """Start a child and wait until it has loaded the model."""
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._child = subprocess.Popen(
            [sys.executable, "-c", "from jobs.isolated import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._loaded_bytes = 0
        try:
            self._send((self._settings, self._settings.image_timeout_s))
        except BrokenPipeError:
            return self._bury("", ())
        found = self._watch(timeout_s=LOAD_TIMEOUT_S, max_bytes=None)
        if isinstance(found, Death):
            return found
        self._loaded_bytes = resident_bytes(self._child.pid)
        return None

    def _send(self, value: Any) -> None:
        assert self._child is not None, "a child was started"
        assert self._child.stdin is not None, "the child was given a pipe"
        pickle.dump(value, self._child.stdin)
        self._child.stdin.flush()

    def _watch(self, *, timeout_s: float, max_bytes: int | None) -> Receipt | Death | None:
        """Wait until the child has done what it is at, as long as it keeps to its limits."""
        assert self._child is not None, "a child was started"
        assert self._child.stdout is not None, "the child was given a pipe"
        answers = self._child.stdout
        positions: tuple[int, ...] = ()
        step_began_s = time.monotonic()
        while True:
            if select.select([answers], [], [], WATCH_INTERVAL_S)[0]:
                message = read_message(answers)
                if message is None:
                    return self._bury("", positions)
                if message.is_end:
                    if message.error is not None:
                        raise message.error
                    return message.receipt
                positions, step_began_s = message.step, time.monotonic()
            elif time.monotonic() - step_began_s > timeout_s:
                return self._bury(f"gave no answer within {timeout_s:g} s", positions)
            elif max_bytes is not None and self._used_bytes() > max_bytes:
                return self._bury(f"used more than {max_bytes / 1e6:,.0f} MB of memory", positions)

    def _used_bytes(self) -> int:
        """Memory of the child beyond what the loaded model takes."""
        assert self._child is not None, "a child was started"
        return resident_bytes(self._child.pid) - self._loaded_bytes

    def _bury(self, how: str, positions: tuple[int, ...]) -> Death:
        """End the child if it has not ended itself, and say how that came."""
        child, self._child = self._child, None
        assert child is not None, "a child was started"
        assert child.stdin is not None, "the child was given a pipe"
        assert child.stdout is not None, "the child was given a pipe"
        if not how:
            with suppress(subprocess.TimeoutExpired):
                child.wait(END_TIMEOUT_S)
        child.kill()  # nothing happens to one that is dead
        code = child.wait()
        with suppress(BrokenPipeError):
            child.stdin.close()
        child.stdout.close()
        return Death(how=how or describe_end(code), positions=positions)


def read_message(answers: IO[bytes]) -> Message | None:
    """The next message of a child; None where it is dead.

    Messages are small and written at once, so what has begun to come is there.
    """
    try:
        size = int.from_bytes(read_exactly(answers, 4), "big")
        message = pickle.loads(read_exactly(answers, size))
    except EOFError:
        return None
    assert isinstance(message, Message), "a child says nothing else"
    return message


def read_exactly(file: IO[bytes], num_bytes: int) -> bytes:
    """So many bytes of a pipe, and not one more than is asked.

    Raises:
        EOFError: it ended before.
    """
    data = b""
    while len(data) < num_bytes:
        chunk = os.read(file.fileno(), num_bytes - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def resident_bytes(pid: int) -> int:
    """Memory that a process has in use; 0 where the system does not tell or it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def describe_end(code: int) -> str:
    """How a process ended, from its return code."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
