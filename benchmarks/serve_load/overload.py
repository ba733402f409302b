"""More than a service can take: what it answers, how fast, in how much memory, and how soon it is itself again."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from process_tree import TreeSampler

from serve_load.clients import LoadProcess, figures_of, quantile, run_load
from serve_load.http_load import LoadSettings
from serve_load.servers import Server, running
from serve_load.tasks import ServedTask

ALLOWED = frozenset({"200", "429", "503", "full"})
"""What requests may end in; ``full`` are those that the client could not send: all its connections were waiting."""
MAX_CONNECTIONS = 900
NUM_CALM = 20
"""Answers in a row that are as fast as before: then the service is itself again."""
MEMORY_SLACK = 1.1


@dataclass(frozen=True, kw_only=True)
class Overloaded:
    """How it went."""

    capacity_per_s: float
    unloaded_p99_ms: dict[str, float]
    """By number of clients, before."""
    asked_per_s: float
    statuses: dict[str, int]
    accepted_per_s: float
    accepted_p50_ms: float
    accepted_p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    memory_start_bytes: int
    """After the first tenth of the overload."""
    memory_end_bytes: int
    recovery_s: float
    """From the end of the overload to the first of NUM_CALM good answers in a row; NaN where they never came."""
    client_cores: float

    def verdict(self) -> dict[str, bool]:
        """What is promised, and whether it was kept."""
        return {
            "only 2xx, 429 and 503": set(self.statuses) <= ALLOWED,
            "p99 of accepted within 3 times that of 8 clients": self.accepted_p99_ms <= 3 * self.unloaded_p99_ms["8"],
            "memory flat": self.memory_end_bytes <= MEMORY_SLACK * self.memory_start_bytes,
            "recovered within 5 s": self.recovery_s <= 5.0,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return asdict(self) | {"verdict": self.verdict()}


def measure_overload(server: Server, task: ServedTask, *, factor: float, seconds: float, calm_s: float) -> Overloaded:
    """Overload a server.

    Args:
        server: starts fresh.
        task: its model.
        factor: arrivals as a multiple of its capacity.
        seconds: of overload.
        calm_s: of each load before and after.
    """

    def settings(**changes: Any) -> LoadSettings:
        return LoadSettings(port=server.port, path=server.path, folders=[str(task.images)], **changes)

    with running(server, task) as process:
        calm = {
            str(level): figures_of(run_load(settings(clients=level, seconds=calm_s, warm_s=1.0, seed=level)))
            for level in (1, 8, 64)
        }
        capacity = max(figures.images_per_s for figures in calm.values())
        asked = settings(mode="open", rate=factor * capacity, clients=MAX_CONNECTIONS, seconds=seconds, seed=1001)
        with TreeSampler(process.pid) as tree:
            began_s = time.time()
            seen = LoadProcess(asked).result()
            over_s = time.time()
        after = run_load(settings(clients=1, seconds=calm_s, has_times=True, seed=1002))
    memory = [(sample.time_s, sample.memory_bytes) for sample in tree.samples]
    early = [size for at_s, size in memory if at_s <= began_s + seconds / 10] or [memory[0][1]]
    figures = figures_of(seen)
    return Overloaded(
        capacity_per_s=capacity,
        unloaded_p99_ms={level: found.p99_ms for level, found in calm.items()},
        asked_per_s=sum(seen.statuses.values()) / seen.seconds,
        statuses=dict(seen.statuses),
        accepted_per_s=figures.images_per_s,
        accepted_p50_ms=figures.p50_ms,
        accepted_p99_ms=figures.p99_ms,
        refused_p50_ms=quantile(seen.refused_ms, 0.5),
        refused_p99_ms=quantile(seen.refused_ms, 0.99),
        memory_start_bytes=early[-1],
        memory_end_bytes=memory[-1][1],
        recovery_s=recovery_s(after.times, since_s=over_s, good_ms=3 * calm["1"].p99_ms),
        client_cores=figures.client_cores,
    )


def recovery_s(times: list[tuple[float, str, float]], *, since_s: float, good_ms: float) -> float:
    """When answers are as before: the first of NUM_CALM in a row that are."""
    run_began_s, num_good = float("nan"), 0
    for at_s, status, took_ms in times:
        if status == "200" and took_ms <= good_ms:
            run_began_s, num_good = (at_s, 1) if num_good == 0 else (run_began_s, num_good + 1)
            if num_good == NUM_CALM:
                return run_began_s - since_s
        else:
            num_good = 0
    return float("nan")
