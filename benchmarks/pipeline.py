"""How much of the machine a job uses: its steady rate beside the bound that the same machine sets in the same run.

    python benchmarks/pipeline.py --images FOLDER --model PACKAGE --count 10000

The bound is ``cores / core-seconds per image`` of prepare and infer, one thread each, measured in this process before
and after the jobs. A job is the real command in a process of its own. The steady rate is that of Ray's actors: it is
taken from the commit log of a run without a head start, between the commits at 10 % and at 90 % of the rows. Time to
the first commit, end to end and memory are those of a run as users start it; times count from the start of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

from process_tree import TreeSampler
from rich.console import Console
from rich.table import Table

from inference_core.models.package import load_package
from inference_core.pipeline import build_preparer, build_runner
from jobs.commits import CommitLog, CommitRecord

BOUND_IMAGES = 192
"""Images of one measurement of the bound; some seconds of one core."""


@dataclass(frozen=True, kw_only=True)
class CoreCost:
    """Core milliseconds of one image on one thread."""

    prepare_ms: float
    infer_ms: float

    @property
    def total_ms(self) -> float:
        """Both together."""
        return self.prepare_ms + self.infer_ms


@dataclass(frozen=True, kw_only=True)
class JobTimes:
    """What the job's commit log and process tell."""

    wall_s: float
    first_commit_s: float
    first_attempt_s: float
    """From the start of the process to the beginning of the first shard."""
    steady_images_per_s: float
    peak_memory_bytes: int
    own_load: float
    """Cores that the job used in its steady part."""
    other_load: float
    """Cores that everything else on the machine used meanwhile; the bound assumes none."""


def measure_cost(model: str, files: list[Path]) -> CoreCost:
    """Run prepare and infer over some images on one thread and divide the processor time."""
    package = load_package(model)
    preparer = build_preparer(package)
    runner = build_runner(package, device="cpu", num_threads=1)
    sample = [path.read_bytes() for path in islice(cycle(files), BOUND_IMAGES)]
    runner.infer([preparer.prepare(data, image_id="warm-up") for data in sample[: runner.batch_size]])
    prepare_s = infer_s = 0.0
    for start in range(0, len(sample), runner.batch_size):
        begun = time.process_time()
        items = [preparer.prepare(data, image_id="") for data in sample[start : start + runner.batch_size]]
        prepared = time.process_time()
        runner.infer(items)
        prepare_s += prepared - begun
        infer_s += time.process_time() - prepared
    return CoreCost(prepare_ms=prepare_s / len(sample) * 1000, infer_ms=infer_s / len(sample) * 1000)


def link_images(files: list[Path], folder: Path, *, count: int) -> None:
    """Fill a folder with ``count`` links to the photographs."""
    folder.mkdir(parents=True)
    for index, path in enumerate(islice(cycle(files), count)):
        (folder / f"{index:07d}{path.suffix}").symlink_to(path.resolve())


def run_job(model: str, images: Path, output: Path, settings: list[str]) -> JobTimes:
    """Run the command and read its commit log."""
    command = [sys.executable, "-m", "jobs", "run", "--model", model, "--input", str(images), "--output", str(output)]
    for setting in ("execution.duplicates=each", *settings):  # the images are few, repeated
        command += ["--set", setting]
    started = time.time()
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process,
        TreeSampler(process.pid) as sampler,
    ):
        _, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(errors.decode())
    log = CommitLog(f"file://{output}")
    records = list(log.read_many(sorted(log.committed())))
    steady = steady_part(records)
    own_load, other_load = sampler.load_between(steady.begin_s, steady.end_s)
    return JobTimes(
        wall_s=time.time() - started,
        first_commit_s=min(map(committed_s, records)) - started,
        first_attempt_s=min(record.started_s for record in records) - started,
        steady_images_per_s=steady.rows / (steady.end_s - steady.begin_s),
        peak_memory_bytes=sampler.peak_memory_bytes,
        own_load=own_load,
        other_load=other_load,
    )


def committed_s(record: CommitRecord) -> float:
    """When a shard was committed, seconds since 1970."""
    return record.started_s + record.wall_s


@dataclass(frozen=True, kw_only=True)
class SteadyPart:
    """The middle of a run, without its start and its tail."""

    rows: int
    begin_s: float
    end_s: float


def steady_part(records: list[CommitRecord]) -> SteadyPart:
    """What lies between the commits at 10 % and at 90 % of the rows."""
    ordered = sorted(records, key=committed_s)
    total = sum(record.num_rows for record in ordered)
    done = 0
    marks: list[tuple[int, float]] = []
    for record in ordered:
        done += record.num_rows
        if 0.1 * total <= done <= 0.9 * total:
            marks.append((done, committed_s(record)))
    (first_rows, begin_s), (last_rows, end_s) = marks[0], marks[-1]
    return SteadyPart(rows=last_rows - first_rows, begin_s=begin_s, end_s=end_s)


def print_result(result: dict[str, float], cost: CoreCost) -> None:
    """The table and, as the last line, the JSON."""
    table = Table(title="pipeline", show_header=False)
    for name, value in result.items():
        table.add_row(name, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)
    sys.stdout.write(json.dumps({**result, "cost": asdict(cost)}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs, repeated up to --count")
    parser.add_argument("--model", required=True, help="model package")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="job setting as key=value")
    options = parser.parse_args()
    files = sorted(path for path in options.images.rglob("*") if path.is_file())
    cores = len(os.sched_getaffinity(0))
    folder = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    try:
        link_images(files, folder / "images", count=options.count)
        before = measure_cost(options.model, files)
        alone = [*options.settings, "execution.head_start=false"]
        steady = run_job(options.model, folder / "images", folder / "ray-alone", alone)
        job = run_job(options.model, folder / "images", folder / "run", options.settings)
        after = measure_cost(options.model, files)
    finally:
        shutil.rmtree(folder)
    cost = CoreCost(
        prepare_ms=(before.prepare_ms + after.prepare_ms) / 2, infer_ms=(before.infer_ms + after.infer_ms) / 2
    )
    bound = cores / cost.total_ms * 1000
    result = {
        "images": options.count,
        "cores": cores,
        "prepare, core ms per image": cost.prepare_ms,
        "infer, core ms per image": cost.infer_ms,
        "bound, images/s": bound,
        "steady, images/s": steady.steady_images_per_s,
        "efficiency (steady / bound)": steady.steady_images_per_s / bound,
        "efficiency on the cores that others left": steady.steady_images_per_s
        / (bound * (1 - steady.other_load / cores)),
        "load of the steady job, cores": steady.own_load,
        "load of others meanwhile, cores": steady.other_load,
        "first commit without a head start, s": steady.first_commit_s,
        "end to end, images/s": options.count / job.wall_s,
        "wall, s": job.wall_s,
        "first shard begun, s": job.first_attempt_s,
        "first commit, s": job.first_commit_s,
        "peak memory, GiB": job.peak_memory_bytes / 2**30,
        "bound before and after differ by": abs(before.total_ms - after.total_ms) / cost.total_ms,
    }
    print_result(result, cost)


if __name__ == "__main__":
    main()
