"""A service under load, beside its peers and the bound: throughput, latency, overload, a killed process, a long soak.

    python benchmarks/serving.py [--tasks mobilenet,unet] [--clients 1,8,64] [--seconds 10] [--rounds 3]
        [--litserve-python PATH] [--bentoml-python PATH] [--only millrace,fastapi] [--set KEY=VALUE ...] [--json FILE]
    python benchmarks/serving.py --overload [--seconds 60] [--factor 3]
    python benchmarks/serving.py --kill [--replicas 2]
    python benchmarks/serving.py --soak MINUTES

Millrace runs as ``millrace serve`` does by default; its peers serve the same ONNX file with the same preprocessing, set
up as their own documentation recommends (``benchmarks/serving_peers``), and those whose interpreter is not given are
left out. Clients are one process of asyncio beside the server, the same for all; they take cores from it, and the table
says how many. Every request is of bytes that no request had before, so that no cache helps. Rounds take turns, so that
whatever else the machine does hits all alike; the median of the rounds counts. The bound is the core alone, a
process for each core and no server, measured in each round.

The exit code is 1 where a promise was not kept (``--overload``, ``--kill``, ``--soak``).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rich.console import Console
from rich.table import Table
from serve_load.killing import measure_kill
from serve_load.overload import measure_overload
from serve_load.servers import Server, millrace_server, peer_servers
from serve_load.side_by_side import Race, race_table
from serve_load.soak import measure_soak
from serve_load.tasks import ROOT, TASKS, ServedTask, prepare_task

KILL_CLIENTS, SOAK_CLIENTS = 16, 4
CALM_S = 5.0
TABLE_WIDTH = 110
"""Where nobody looks at a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    options = read_options(arguments)
    console = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    with tempfile.TemporaryDirectory(prefix="millrace-serving-") as folder:
        tasks = [prepare_task(name, Path(folder), options.assets.resolve()) for name in options.tasks]
        if options.overload or options.kill or options.soak:
            found, is_kept = run_trial(options, tasks[0], console)
        else:
            found, is_kept = run_races(options, tasks, console), True
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if is_kept else 1


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, default=ROOT.parent / "shared" / "assets")
    parser.add_argument("--tasks", type=names_of(TASKS), default=list(TASKS))
    parser.add_argument("--clients", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=None, help="of each load; 10, and 60 with --overload")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=None, help="servers, by name")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--fastapi-python", default=sys.executable)
    parser.add_argument("--litserve-python", default=None)
    parser.add_argument("--bentoml-python", default=None)
    parser.add_argument("--set", action="append", default=[], help="setting of millrace serve")
    parser.add_argument("--overload", action="store_true")
    parser.add_argument("--factor", type=float, default=3.0, help="with --overload: arrivals over capacity")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--replicas", type=int, default=2, help="with --kill")
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--json", type=Path, default=None, help="file for all figures")
    return parser.parse_args(arguments)


def names_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Reads a list of known names."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if set(names) - set(known):
            raise argparse.ArgumentTypeError(f"must be among {', '.join(known)}, got {text}")
        return names

    return read


def run_races(options: argparse.Namespace, tasks: Sequence[ServedTask], console: Console) -> list[dict[str, Any]]:
    """Ours beside the others, for each task."""
    pythons = {
        name: python
        for name in ("fastapi", "litserve", "bentoml")
        if (python := getattr(options, f"{name}_python")) and name in (options.only or [name])
    }
    for name in ("litserve", "bentoml"):
        if name not in pythons and name in (options.only or [name]):
            console.print(f"{name} left out: give --{name}-python", highlight=False)
    results = []
    for task in tasks:
        race = Race(task=task, levels=options.clients, seconds=options.seconds or 10.0, cores=options.cores)
        builders = server_builders(options, task, pythons)
        for number in range(options.rounds):
            turned = builders[number % len(builders) :] + builders[: number % len(builders)]
            race.run_round(turned, say=lambda text: console.print(text, style="dim", highlight=False))
        results.append(race.to_json())
        console.print(race_table(results[-1]))
    return results


def server_builders(
    options: argparse.Namespace, task: ServedTask, pythons: Mapping[str, str]
) -> list[Callable[[], Server]]:
    """What makes each server anew, on ports that are free then."""
    builders: list[Callable[[], Server]] = [
        partial(lambda name: peer_servers(task, pythons={name: pythons[name]}, cores=options.cores)[0], name)
        for name in pythons
    ]
    if "millrace" in (options.only or ["millrace"]):
        builders.insert(0, lambda: millrace_server(task, settings=options.set))
    return builders


def run_trial(options: argparse.Namespace, task: ServedTask, console: Console) -> tuple[dict[str, Any], bool]:
    """One of the trials; its figures, and whether all promises were kept."""
    found: Any
    if options.overload:
        server, seconds = millrace_server(task, settings=options.set), options.seconds or 60.0
        found = measure_overload(server, task, factor=options.factor, seconds=seconds, calm_s=min(CALM_S, seconds))
    elif options.kill:
        settings = [*options.set, f"models.0.replicas={options.replicas}"]
        server, seconds = millrace_server(task, settings=settings), options.seconds or 20.0
        found = measure_kill(server, task, replicas=options.replicas, clients=KILL_CLIENTS, seconds=seconds)
    else:
        server, hostile = millrace_server(task, settings=options.set), options.assets / "hostile"
        found = measure_soak(server, task, hostile=hostile, minutes=options.soak, clients=SOAK_CLIENTS)
    figures: dict[str, Any] = found.to_json()
    table = Table("", "", show_header=False, box=None)
    for name, value in figures.items():
        if name != "verdict":
            table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else str(value))
    console.print(table)
    for promise, is_kept in figures["verdict"].items():
        console.print(f"{'kept' if is_kept else 'BROKEN'}: {promise}", highlight=False)
    return figures, all(figures["verdict"].values())


if __name__ == "__main__":
    sys.exit(main())
