"""Memory of a process and all that it started, from /proc."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL_S = 1.0


def descendants(pid: int) -> list[int]:
    """The process and everything below it, as far as it still lives."""
    found = [pid]
    for process in found:
        for tasks in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += [int(child) for child in tasks.read_text().split()]
            except OSError:
                continue
    return found


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process tree: shared pages are counted once."""
    total = 0
    for process in descendants(pid):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


class PeakMemory:
    """Samples a process tree's memory in the background.

    Args:
        pid: the tree's root.
    """

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        """Begin to sample."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self.peak_bytes = max(self.peak_bytes, memory_bytes(self._pid))
