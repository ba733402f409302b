"""How a job grows with its input: planning time and memory, rate, driver memory and time per shard.

    python benchmarks/scale.py --model PACKAGE --rows 10000 --rows 100000 --rows 1000000

The input is Parquet with an encoded image in each row, so that reading costs next to nothing. Planning is measured in a
process of its own: list the input and store the listing. The job is the real command in a process of its own; the
driver's memory is its resident set, sampled twice a second. The rate is the steady one, between the commits at 10 % and
at 90 % of the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pipeline import steady_part
from rich.console import Console
from rich.table import Table

from jobs.commits import CommitLog

FILE_ROWS = 100_000
GROUP_ROWS = 2_048
NUM_IMAGES = 64
"""Different images; they are repeated."""
SAMPLE_INTERVAL_S = 0.5

PLAN_SCRIPT = """
import json, sys, time
from jobs.peak_memory import status_bytes
from jobs.listing import store_listing
from jobs.plan import inputs_of
from jobs.settings import read_settings
input_uri, output = sys.argv[1:]
config = read_settings(None, flags={"model": "unused", "input": input_uri, "output": output}, assignments=["source.kind=tables"])
inputs = inputs_of(config)
before = status_bytes("VmHWM")
started = time.perf_counter()
first_s = None
for listing in store_listing(config.output, inputs.list, behind=inputs.behind, rows_per_shard=None, rows_later=1024):
    first_s = first_s or time.perf_counter() - started
print(json.dumps({
    "plan_s": time.perf_counter() - started, "first_part_s": first_s, "num_shards": len(listing.shards),
    "plan_peak_bytes": status_bytes("VmHWM"), "plan_start_bytes": before,
}))
"""  # noqa: E501


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What listing and storing took."""

    plan_s: float
    first_part_s: float
    """Until work could begin."""
    num_shards: int
    plan_peak_bytes: int
    plan_start_bytes: int
    """Before anything was listed: Python and the libraries."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What the job took."""

    wall_s: float
    steady_images_per_s: float
    steady_ms_per_shard: float
    driver_peak_bytes: int
    driver_median_bytes: int
    """Of the second half of the run."""


def write_tables(folder: Path, *, num_rows: int) -> None:
    """Parquet files of small JPEG images in the column ``image``."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    images = [encode(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(NUM_IMAGES)]
    for number, first in enumerate(range(0, num_rows, FILE_ROWS)):
        count = min(FILE_ROWS, num_rows - first)
        column = pa.array([images[row % NUM_IMAGES] for row in range(first, first + count)], pa.binary())
        ids = pa.array([f"{row:08d}" for row in range(first, first + count)])
        table = pa.table({"image_id": ids, "image": column})
        pq.write_table(table, folder / f"{number:04d}.parquet", row_group_size=GROUP_ROWS)


def encode(pixels: np.ndarray) -> bytes:
    """An image as JPEG."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG")
    return buffer.getvalue()


def plan(tables: Path, output: Path) -> Planned:
    """List and store the input in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PLAN_SCRIPT, str(tables), str(output)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return Planned(**json.loads(done.stdout))


class DriverMemory:
    """Samples the resident set of one process in the background."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._samples: list[int] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> list[int]:
        """The samples; the process has ended."""
        self._thread.join()
        return self._samples

    def _run(self) -> None:
        while (size := self._resident_bytes()) > 0:
            self._samples.append(size)
            time.sleep(SAMPLE_INTERVAL_S)

    def _resident_bytes(self) -> int:
        try:
            lines = self._status.read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def run(model: str, tables: Path, output: Path, settings: list[str]) -> Ran:
    """Run the job."""
    command = [sys.executable, "-m", "jobs", "run", "--model", model, "--input", str(tables), "--output", str(output)]
    for setting in ("source.kind=tables", "execution.duplicates=each", *settings):
        command += ["--set", setting]
    started = time.time()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        memory = DriverMemory(process.pid)
        _, errors = process.communicate()
    samples = memory.stop()
    if process.returncode:
        sys.exit(errors.decode())
    log = CommitLog(f"file://{output}")
    records = list(log.read_many(sorted(log.committed())))
    steady = steady_part(records)
    seconds = steady.end_s - steady.begin_s
    middle = sorted(samples[len(samples) // 2 :])
    return Ran(
        wall_s=time.time() - started,
        steady_images_per_s=steady.rows / seconds,
        steady_ms_per_shard=seconds * 1000 / max(1, round(len(records) * 0.8)),
        driver_peak_bytes=max(samples),
        driver_median_bytes=middle[len(middle) // 2],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model package; without it only the planning is measured")
    parser.add_argument("--rows", type=int, action="append", required=True, help="may be repeated")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="job setting as key=value")
    options = parser.parse_args()
    table = Table(
        "rows", "plan s", "first part s", "plan GiB", "shards", "images/s", "ms per shard", "driver GiB", "wall s"
    )
    results = []
    for num_rows in options.rows:
        folder = Path(tempfile.mkdtemp(prefix="millrace-scale-"))
        try:
            write_tables(folder / "tables", num_rows=num_rows)
            planned = plan(folder / "tables", folder / "planned")
            ran = run(options.model, folder / "tables", folder / "run", options.settings) if options.model else None
        finally:
            shutil.rmtree(folder)
        results.append({"rows": num_rows, **asdict(planned), **(asdict(ran) if ran else {})})
        work = (
            [
                f"{ran.steady_images_per_s:,.0f}",
                f"{ran.steady_ms_per_shard:.1f}",
                f"{ran.driver_median_bytes / 2**30:.2f} (peak {ran.driver_peak_bytes / 2**30:.2f})",
                f"{ran.wall_s:,.1f}",
            ]
            if ran
            else ["", "", "", ""]
        )
        table.add_row(
            f"{num_rows:,}",
            f"{planned.plan_s:.1f}",
            f"{planned.first_part_s:.1f}",
            f"{planned.plan_peak_bytes / 2**30:.2f} ({planned.plan_start_bytes / 2**30:.2f})",
            f"{planned.num_shards:,}",
            *work,
        )
    Console(width=140).print(table)
    sys.stdout.write(f"{os.cpu_count()} cores\n")
    for result in results:
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
