"""What a process and all that it started use, and what the rest of the machine does meanwhile; from /proc."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

INTERVAL_S = 1.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look at the machine."""

    time_s: float
    """Seconds since 1970."""
    memory_bytes: int
    """Proportional set size of the tree: shared pages are counted once."""
    tree_cpu_s: float
    """Processor time of the tree's processes; of those that have ended, as of their last sample."""
    machine_cpu_s: float
    """Processor time of everything on the machine, the tree included."""


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
    """Proportional set size of one process, 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def cpu_s(pid: int) -> float:
    """Processor time of one process, 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def machine_cpu_s() -> float:
    """Processor time of the whole machine but for idling and waiting."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / TICKS_PER_S


class TreeSampler:
    """Samples a process tree in the background.

    Args:
        pid: the tree's root.
    """

    def __init__(self, pid: int) -> None:
        self.samples: list[Sample] = []
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

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

    @property
    def peak_memory_bytes(self) -> int:
        """Most memory seen."""
        return max((sample.memory_bytes for sample in self.samples), default=0)

    def load_between(self, begin_s: float, end_s: float) -> tuple[float, float]:
        """Cores that the tree and that everything else used between two times; NaN without two samples in between."""
        inside = [sample for sample in self.samples if begin_s <= sample.time_s <= end_s]
        if len(inside) < 2:
            return float("nan"), float("nan")
        first, last = inside[0], inside[-1]
        elapsed_s = last.time_s - first.time_s
        tree = last.tree_cpu_s - first.tree_cpu_s
        machine = last.machine_cpu_s - first.machine_cpu_s
        return tree / elapsed_s, (machine - tree) / elapsed_s

    def _run(self) -> None:
        cpu_of: dict[int, float] = {}
        while not self._stop.wait(INTERVAL_S):
            tree = descendants(self._pid)
            cpu_of.update({pid: spent_s for pid in tree if (spent_s := cpu_s(pid))})
            self.samples.append(
                Sample(
                    time_s=time.time(),
                    memory_bytes=sum(map(memory_bytes, tree)),
                    tree_cpu_s=sum(cpu_of.values()),
                    machine_cpu_s=machine_cpu_s(),
                )
            )
