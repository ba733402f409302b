"""A process that answers is killed under load: what its clients see."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from process_tree import descendants

from serve_load.clients import LoadProcess
from serve_load.http_load import LoadSettings
from serve_load.scrape import read_totals
from serve_load.servers import Server, running
from serve_load.tasks import ServedTask

ALLOWED = frozenset({"200", "429", "503", "lost", "refused"})
REPLICA = b"ServeReplica"
"""In the name of a process of Ray Serve that answers."""
LEAD_S = 3.0
"""Load before the kill."""


@dataclass(frozen=True, kw_only=True)
class Killed:
    """How it went."""

    replicas: int
    clients: int
    killed_pid: int
    before: dict[str, int]
    """Outcomes before the kill, by status; ``lost`` where the connection was closed within a request, ``refused`` where
    none could be made."""
    after: dict[str, int]
    """Likewise, after it."""
    longest_silence_s: float
    """Longest time without any good answer."""
    whole_again_s: float
    """Until as many processes answer as before; NaN where they never did."""

    def verdict(self) -> dict[str, bool]:
        """What is promised, and whether it was kept."""
        seen = {**self.before, **self.after}
        return {
            "every request answered or cleanly refused": set(seen) <= ALLOWED,
            "none lost but what the killed process had": self.after.get("lost", 0) <= self.clients,
            "whole again": self.whole_again_s == self.whole_again_s,  # not NaN
        }

    def to_json(self) -> dict[str, Any]:
        """Everything."""
        return asdict(self) | {"verdict": self.verdict()}


def measure_kill(server: Server, task: ServedTask, *, replicas: int, clients: int, seconds: float) -> Killed:
    """Kill one of a service's replicas while clients ask."""
    with running(server, task) as process:
        load = LoadProcess(
            LoadSettings(
                port=server.port,
                path=server.path,
                folders=[str(task.images)],
                clients=clients,
                seconds=LEAD_S + seconds,
                has_times=True,
            )
        )
        time.sleep(LEAD_S)
        before = replica_pids(process.pid)
        victim = before[0]
        killed_s = time.time()
        os.kill(victim, signal.SIGKILL)
        whole_again_s = float("nan")
        while time.time() < killed_s + seconds:
            alive = replica_pids(process.pid)
            if victim not in alive and len(alive) >= len(before) and do_all_answer(server.port, len(before)):
                whole_again_s = time.time() - killed_s
                break
            time.sleep(0.2)
        seen = load.result()
    outcomes: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for at_s, status, took_ms in seen.times:
        outcomes[at_s - took_ms / 1000 > killed_s or status in ("lost", "refused")][status] += 1
    good = [at_s for at_s, status, _ in seen.times if status == "200"]
    silences = [later - earlier for earlier, later in pairwise(good)]
    return Killed(
        replicas=replicas,
        clients=clients,
        killed_pid=victim,
        before=dict(outcomes[0]),
        after=dict(outcomes[1]),
        longest_silence_s=max(silences, default=float("nan")),
        whole_again_s=whole_again_s,
    )


def do_all_answer(port: int, count: int) -> bool:
    """Whether as many processes tell that their model is loaded."""
    try:
        return read_totals(port).get("millrace_serve_model_loaded", 0.0) >= count
    except OSError:
        return False


def replica_pids(root: int) -> list[int]:
    """The processes of Ray Serve that answer, below a command."""
    return [pid for pid in descendants(root) if REPLICA in title_of(pid)]


def title_of(pid: int) -> bytes:
    """What a process calls itself."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
