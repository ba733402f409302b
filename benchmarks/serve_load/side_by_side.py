"""Throughput and latency at several numbers of clients, ours beside others, in rounds that take turns."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from serve_load.clients import Figures, figures_of, merge_rounds, run_load, start_part
from serve_load.http_load import LoadSettings
from serve_load.scrape import mean_batch, read_totals
from serve_load.servers import Server, running
from serve_load.tasks import ServedTask

Key = tuple[str, int]
"""Name of a server and number of clients."""


@dataclass(kw_only=True)
class Race:
    """All rounds of one task."""

    task: ServedTask
    levels: Sequence[int]
    seconds: float
    cores: int
    bounds: list[float] = field(default_factory=list)
    """Images per second of the core alone, one for each round."""
    figures: defaultdict[Key, list[Figures]] = field(default_factory=lambda: defaultdict(list))
    batches: defaultdict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of ours: mean batch size."""
    problems: dict[str, str] = field(default_factory=dict)
    """Servers that did not run."""

    def run_round(self, servers: Sequence[Callable[[], Server]], *, say: Callable[[str], None]) -> None:
        """Measure the bound and each server once."""
        say(f"{self.task.name}: bound")
        self.bounds.append(measure_bound(self.task, seconds=self.seconds, cores=self.cores))
        for build in servers:
            server = build()
            if server.name in self.problems:
                continue
            say(f"{self.task.name}: {server.name}")
            try:
                with running(server, self.task):
                    self._measure(server)
            except RuntimeError as exc:
                self.problems[server.name] = str(exc)
                say(f"{server.name} left out: {exc}")

    def _measure(self, server: Server) -> None:
        is_ours = server.grpc_port > 0
        for level in self.levels:
            before = read_totals(server.port) if is_ours else {}
            settings = self._settings(server, level)
            found = figures_of(run_load(settings))
            self.figures[server.name, level].append(found)
            if is_ours:
                self.batches[server.name, level].append(mean_batch(before, read_totals(server.port)))
        if is_ours:
            (model,) = model_names(server.port)
            for level in self.levels:
                settings = self._settings(server, level, port=server.grpc_port, path=model)
                found = figures_of(run_load(settings, protocol="grpc"))
                self.figures[f"{server.name} gRPC", level].append(found)

    def _settings(
        self, server: Server, level: int, *, port: int | None = None, path: str | None = None
    ) -> LoadSettings:
        return LoadSettings(
            port=port or server.port,
            path=path or server.path,
            folders=[str(self.task.images)],
            clients=level,
            seconds=self.seconds,
            warm_s=min(1.0, self.seconds / 2),
            seed=level,
        )

    def to_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        bound = statistics.median(self.bounds)
        rows = []
        for (name, level), rounds in self.figures.items():
            merged = merge_rounds(rounds)
            batches = [size for size in self.batches.get((name, level), []) if not math.isnan(size)]
            batch = statistics.median(batches) if batches else None
            ratio = merged["images_per_s"] / bound
            rows.append({"server": name, "clients": level, **merged, "ratio_to_bound": ratio, "mean_batch": batch})
        return {
            "task": self.task.name,
            "bound_images_per_s": bound,
            "bounds": self.bounds,
            "rows": sorted(rows, key=lambda row: (row["clients"], row["server"])),
            "left_out": self.problems,
        }


def model_names(port: int) -> list[str]:
    """Names of the models that a service of ours has."""
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=10) as answer:
        return [model["name"] for model in json.load(answer)["models"]]


def measure_bound(task: ServedTask, *, seconds: float, cores: int) -> float:
    """Images per second of the core alone."""
    process = start_part("bound", str(task.package), str(task.images), str(seconds), str(cores))
    told, _ = process.communicate()
    found: float = json.loads(told)["images_per_s"]
    return found


def race_table(result: dict[str, Any]) -> Table:
    """One task as a table."""
    title = f"{result['task']}: bound {result['bound_images_per_s']:.0f} images/s (the core alone, a process per core)"
    names = ("clients", "server", "images/s", "of bound", "p50 ms", "p99 ms", "batch", "client cores", "not 2xx")
    table = Table(*names, title=title, title_justify="left")
    for row in result["rows"]:
        bad = sum(count for status, count in row["statuses"].items() if status != "200")
        batch = "" if row["mean_batch"] is None else f"{row['mean_batch']:.2f}"
        table.add_row(
            *(str(row["clients"]), row["server"], f"{row['images_per_s']:.0f}", f"{row['ratio_to_bound']:.2f}"),
            *(f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}", batch, f"{row['client_cores']:.2f}", str(bad)),
        )
    return table
