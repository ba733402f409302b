"""The most memory that this process held, ever or while something ran."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What Linux takes for: begin to measure the peak anew (proc(5), since 4.0)."""


@dataclass(slots=True)
class PeakMemory:
    """Filled when the context ends."""

    grown_bytes: int | None = None
    """Most resident memory beyond what was held at the beginning; None where the system does not tell."""
    peak_bytes: int | None = None
    """Most resident memory of the process."""


@contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Measure what a block needs."""
    measured = PeakMemory()
    before = reset_peak()
    try:
        yield measured
    finally:
        if before is not None:
            measured.peak_bytes = status_bytes("VmHWM")
            measured.grown_bytes = max(0, measured.peak_bytes - before)


def reset_peak() -> int | None:
    """Begin anew; what is held now, None where the system does not tell."""
    try:
        CLEAR_REFS.write_text(RESET_PEAK)
        return status_bytes("VmRSS")
    except OSError:
        return None


def process_peak_bytes() -> int | None:
    """Most resident memory that this process ever held; None where the system does not tell.

    Linux's ``ru_maxrss`` is no answer: a process inherits that of the one that started it.
    """
    if STATUS.exists():
        return status_bytes("VmHWM")
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def status_bytes(name: str) -> int:
    """A size of this process as Linux tells it."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
