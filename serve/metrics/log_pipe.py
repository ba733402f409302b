"""Lines of the access log from the processes that answer to the command that started them, on one machine.

Ray keeps what actors write in files of its own, where nobody who starts a service looks for it.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import threading
from pathlib import Path
from typing import TextIO

PIPE = "access-log.pipe"
READ_BYTES = 64 * 1024
CLOSE_S = 2.0


class LogPipe:
    """The end that takes lines and writes them on, in a thread of its own.

    Args:
        folder: that the processes share, removed at the end.
        stream: where to; None for standard output.
    """

    def __init__(self, folder: Path, *, stream: TextIO | None = None) -> None:
        self._path = folder / PIPE
        self._stream = stream or sys.stdout
        self._path.unlink(missing_ok=True)
        os.mkfifo(self._path, 0o600)
        self._end = os.open(self._path, os.O_RDWR)  # for writing, too: so it never ends while nobody else writes
        self._thread = threading.Thread(target=self._copy, name="access-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits and end; the processes have ended before."""
        os.write(self._end, b"\0")
        self._thread.join(CLOSE_S)
        shutil.rmtree(self._path.parent, ignore_errors=True)

    def _copy(self) -> None:
        is_open = True
        while is_open:
            data = os.read(self._end, READ_BYTES)
            is_open = not data.endswith(b"\0")
            try:
                self._stream.write(data.rstrip(b"\0").decode(errors="replace"))
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads it any more
                continue
        os.close(self._end)


class PipeStream:
    """The end that a process writes to; a line that finds the pipe full is an error, and not a wait.

    Args:
        descriptor: of the pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, line: str) -> None:
        """Write a line, shorter than what a pipe takes whole.

        Raises:
            OSError: the pipe is full, or nobody reads it any more.
        """
        os.write(self._descriptor, line.encode())

    def flush(self) -> None:
        """Nothing is held back."""


def open_pipe(folder: Path | None) -> PipeStream | None:
    """The pipe of a command that takes lines; None where there is none on this machine."""
    if folder is None:
        return None
    try:
        descriptor = os.open(folder / PIPE, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return PipeStream(descriptor)
