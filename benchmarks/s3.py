"""A run over S3 beside the same run over disk: requests for each image, and images/s.

    python benchmarks/s3.py --count 10000 --model PACKAGE --images FOLDER

The S3 protocol server is on loopback, in a process of its own on the same cores, and answers from memory: it costs CPU
time that a real store would not, and lacks the latency that a real one has. Requests are counted by the server.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from s3_process import s3_process

from inference_core import storage

BUCKET = "s3://millrace-bench"
CEILING_IMAGES = 500


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """One run."""

    images_per_s: float
    wall_s: float
    counts: dict[str, int]
    """Requests by what they are for; empty on disk."""


def run_job(model: str, images: str, output: str, settings: list[str]) -> dict[str, Any]:
    """Run the command; what its last line says."""
    command = [sys.executable, "-m", "jobs", "run", "--model", model, "--input", images, "--output", output]
    for setting in ("execution.duplicates=each", *settings):  # the images are few, repeated
        command += ["--set", setting]
    done = subprocess.run([*command, "--log-format", "json"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def kind_of(method: str, path: str, query: str) -> str:
    """What a request is for."""
    if "list-type=2" in query:
        return f"LIST of {'images' if 'prefix=in' in query else 'the output'}"
    place = path.split("/")[2:3]
    names = {"in": "an image", "out": "the output", "model": "the model"}
    return f"{method} of {names.get(place[0] if place else '', 'the bucket')}"


def figures(end: dict[str, Any], counts: dict[str, int]) -> RunFigures:
    """What a run's last line and the server say."""
    return RunFigures(images_per_s=end["planned"] / end["wall_s"], wall_s=end["wall_s"], counts=counts)


def server_ceiling() -> float:
    """Images that one process reads in a second and does nothing with: what the server can give at best."""
    uris = [found.uri for found in islice(storage.list_objects(f"{BUCKET}/in"), CEILING_IMAGES)]
    started_s = time.perf_counter()
    for _ in storage.read_many(uris):
        pass
    return len(uris) / (time.perf_counter() - started_s)


def print_result(disk: RunFigures, s3: RunFigures, *, count: int, ceiling: float) -> None:
    """The table and, as the last line, the JSON."""
    table = Table(title=f"{count:,} images")
    for name in ("", "disk", "S3 on loopback"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("images/s", f"{disk.images_per_s:,.1f}", f"{s3.images_per_s:,.1f}")
    table.add_row("wall, s", f"{disk.wall_s:,.1f}", f"{s3.wall_s:,.1f}")
    for kind, number in sorted(s3.counts.items()):
        table.add_row(f"{kind}, requests (for each image)", "", f"{number:,} ({number / count:.4f})")
    total = sum(s3.counts.values())
    table.add_row("all requests (for each image)", "", f"{total:,} ({total / count:.4f})")
    Console(width=120).print(table)
    table = Table(title="", show_header=False)
    table.add_row("the server alone, images/s read by one process", f"{ceiling:,.1f}")
    Console(width=120).print(table)
    line = {
        "images": count,
        "server_images_per_s": ceiling,
        "disk_images_per_s": disk.images_per_s,
        "s3_images_per_s": s3.images_per_s,
    }
    sys.stdout.write(json.dumps({**line, "requests": s3.counts, "requests_per_image": total / count}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs, repeated up to --count")
    parser.add_argument("--model", required=True, help="model package")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--set", dest="settings", action="append", default=[], help="job setting as key=value")
    options = parser.parse_args()
    files = sorted(path for path in options.images.rglob("*") if path.is_file())
    folder = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    try:
        (folder / "in").mkdir()
        with s3_process(BUCKET) as server:
            for index, path in enumerate(islice(cycle(files), options.count)):
                name = f"{index:07d}{path.suffix}"
                (folder / "in" / name).symlink_to(path.resolve())
                server.fill(f"in/{name}", path.read_bytes())
            disk = figures(run_job(options.model, str(folder / "in"), str(folder / "out"), options.settings), {})
            ceiling = server_ceiling()
            server.take_requests()
            end = run_job(options.model, f"{BUCKET}/in", f"{BUCKET}/out", options.settings)
            counts = Counter(kind_of(*request) for request in server.take_requests())
        print_result(disk, figures(end, dict(counts)), count=options.count, ceiling=ceiling)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
