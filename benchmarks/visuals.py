"""What pictures cost a job: the same job with and without ``worst 50 + random 50``, in turns, on one machine.

    python benchmarks/visuals.py --images FOLDER --model PACKAGE --count 10000 --repeats 3

A job is the real command in a process of its own, into an empty output. Each repeat runs both kinds, the first of them
in turns, so that what else the machine does falls on both. The ratio is that of the medians; beside it stands what
drawing alone takes, measured by ``millrace finalize`` with and without on the last output, in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline import link_images

from jobs.finalize import finalize
from jobs.finalize_again import settings_again, visuals_again
from jobs.plan import load_plan

WANTED = ("visuals.worst=50", "visuals.random=50")


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What was measured, in seconds."""

    count: int
    cores: int
    plain_s: list[float]
    """Of each job without pictures."""
    drawn_s: list[float]
    """Of each job with them."""
    ratio: float
    """Of the medians."""
    finalize_s: float
    """The end of a run without pictures, alone."""
    finalize_drawn_s: float
    """The same with them."""


def run_job(model: str, images: Path, output: Path, settings: tuple[str, ...]) -> float:
    """Run the command; the seconds that it took."""
    command = [sys.executable, "-m", "jobs", "run", "--model", model, "--input", str(images), "--output", str(output)]
    for setting in ("execution.duplicates=each", *settings):  # the images are few, repeated
        command += ["--set", setting]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return time.perf_counter() - started


def time_finalize(output: Path, settings: tuple[str, ...]) -> float:
    """End a finished run again; the seconds that it took."""
    plan = load_plan(f"file://{output}")
    config = settings_again(plan, settings, output=f"file://{output}")
    visuals = visuals_again(config, must_draw=True, say=print)
    started = time.perf_counter()
    finalize(f"file://{output}", plan, visuals=visuals)
    return time.perf_counter() - started


def measure(model: str, images: Path, folder: Path, *, count: int, repeats: int) -> Costs:
    """Run everything."""
    times: dict[tuple[str, ...], list[float]] = {(): [], WANTED: []}
    for repeat in range(repeats):
        for settings in ((), WANTED) if repeat % 2 == 0 else (WANTED, ()):
            output = folder / "out"
            shutil.rmtree(output, ignore_errors=True)
            times[settings].append(run_job(model, images, output, settings))
            print(f"{'drawn' if settings else 'plain'} {times[settings][-1]:.2f} s", file=sys.stderr, flush=True)
    time_finalize(folder / "out", WANTED)  # warms caches of files and fonts
    return Costs(
        count=count,
        cores=len(os.sched_getaffinity(0)),
        plain_s=times[()],
        drawn_s=times[WANTED],
        ratio=statistics.median(times[WANTED]) / statistics.median(times[()]),
        finalize_s=time_finalize(folder / "out", ("visuals.worst=0", "visuals.random=0")),
        finalize_drawn_s=time_finalize(folder / "out", WANTED),
    )


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    files = sorted(path for path in options.images.iterdir() if path.is_file())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        link_images(files, folder / "images", count=options.count)
        costs = measure(options.model, folder / "images", folder, count=options.count, repeats=options.repeats)
    print(json.dumps(asdict(costs), indent=1))


if __name__ == "__main__":
    main()
