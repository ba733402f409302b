"""Start loads as processes and read what they saw."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serve_load.http_load import LoadSettings, Seen

ROOT = Path(__file__).resolve().parents[2]
OWN_PATH = os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT)])


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One load in numbers."""

    images_per_s: float
    p50_ms: float
    p99_ms: float
    num_answered: int
    statuses: Mapping[str, int]
    client_cores: float
    """Cores that the client itself used, on the same machine."""


def start_part(name: str, *arguments: str) -> subprocess.Popen[str]:
    """A module of this package as a process, with pipes to and from it."""
    return subprocess.Popen(
        [sys.executable, "-m", f"serve_load.{name}", *arguments],
        env={**os.environ, "PYTHONPATH": OWN_PATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class LoadProcess:
    """A load that runs.

    Args:
        settings: what is asked.
        protocol: http or grpc.
    """

    def __init__(self, settings: LoadSettings, *, protocol: str = "http") -> None:
        self._process = start_part(f"{protocol}_load")
        assert self._process.stdin is not None, "it is a pipe"
        json.dump(asdict(settings), self._process.stdin)
        self._process.stdin.close()

    def result(self) -> Seen:
        """What it saw, once it has ended.

        Raises:
            RuntimeError: it failed.
        """
        assert self._process.stdout is not None, "it is a pipe"
        text = self._process.stdout.read()
        if self._process.wait() != 0:
            raise RuntimeError("the client failed; its error is above")
        return Seen(**json.loads(text))


def run_load(settings: LoadSettings, *, protocol: str = "http") -> Seen:
    """A load from beginning to end."""
    return LoadProcess(settings, protocol=protocol).result()


def figures_of(seen: Seen) -> Figures:
    """The numbers of one load."""
    return Figures(
        images_per_s=len(seen.latencies_ms) / seen.seconds,
        p50_ms=quantile(seen.latencies_ms, 0.5),
        p99_ms=quantile(seen.latencies_ms, 0.99),
        num_answered=len(seen.latencies_ms),
        statuses=dict(seen.statuses),
        client_cores=seen.cpu_s / seen.seconds,
    )


def quantile(values: Sequence[float], frac: float) -> float:
    """The exact quantile of all values; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(frac * len(ordered)))]


def merge_rounds(rounds: Sequence[Figures]) -> dict[str, Any]:
    """The median of each number over rounds; statuses are added up."""
    names = ("images_per_s", "p50_ms", "p99_ms", "client_cores")
    statuses: dict[str, int] = {}
    for figures in rounds:
        for status, count in figures.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    medians = {name: statistics.median(getattr(figures, name) for figures in rounds) for name in names}
    return medians | {"statuses": statuses, "rounds": [figures.images_per_s for figures in rounds]}
