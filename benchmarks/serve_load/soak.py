"""Minutes of mixed load, good images and hostile files over three protocols: whether memory stays what it was."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from process_tree import TreeSampler

from serve_load.clients import LoadProcess
from serve_load.http_load import LoadSettings
from serve_load.servers import Server, running
from serve_load.side_by_side import model_names
from serve_load.tasks import ServedTask

FIRST_S = 60.0
"""After so long memory counts as settled."""
SLACK = 1.1
CLEAN = frozenset({"200", "413", "415", "422", "400", "429", "503", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"})
"""What good images and hostile files may be answered with."""


@dataclass(frozen=True, kw_only=True)
class Soaked:
    """How it went."""

    minutes: float
    statuses: dict[str, dict[str, int]]
    """By protocol."""
    memory_first_bytes: int
    """After the first minute, or after a tenth of a shorter soak; of the command and all that it started."""
    memory_end_bytes: int
    memory_peak_bytes: int

    def verdict(self) -> dict[str, bool]:
        """What is promised, and whether it was kept."""
        seen = {status for counts in self.statuses.values() for status in counts}
        return {
            "clean answers only": seen <= CLEAN,
            "memory within 10 % of that after the first minute": self.memory_end_bytes
            <= SLACK * self.memory_first_bytes,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return asdict(self) | {"verdict": self.verdict()}


def measure_soak(server: Server, task: ServedTask, *, hostile: Path, minutes: float, clients: int) -> Soaked:
    """Ask for minutes, with so many clients for each protocol."""
    folders = [str(task.images), str(hostile)]
    with running(server, task) as process:
        (model,) = model_names(server.port)

        def settings(port: int, path: str, **changes: Any) -> LoadSettings:
            return LoadSettings(port=port, path=path, folders=folders, clients=clients, seconds=60 * minutes, **changes)

        with TreeSampler(process.pid) as tree:
            began_s = time.time()
            loads = {
                "http": LoadProcess(settings(server.port, server.path)),
                "v2": LoadProcess(settings(server.port, f"/v2/models/{model}/infer", form="v2")),
                "grpc": LoadProcess(settings(server.grpc_port, model), protocol="grpc"),
            }
            seen = {name: load.result() for name, load in loads.items()}
    first_s = began_s + min(FIRST_S, 6 * minutes)
    memory = [(sample.time_s, sample.memory_bytes) for sample in tree.samples]
    settled = [size for at_s, size in memory if at_s >= first_s]
    return Soaked(
        minutes=minutes,
        statuses={name: dict(Counter(found.statuses)) for name, found in seen.items()},
        memory_first_bytes=settled[0],
        memory_end_bytes=settled[-1],
        memory_peak_bytes=max(size for _, size in memory),
    )
