"""Whether the sentence on what held a run back is true: a run that preparing holds back and one that inferring does,
each before and after its advice is followed.

    python benchmarks/advice.py --images FOLDER --prepare-model PACKAGE --infer-model PACKAGE

Large JPEG files go through a small model, small ones through a large model. Each is planned (what is expected), run
(what was found), and run again with the change that was advised: another resampler in a copy of the package, another
engine. A job is the real command in a process of its own. The rates are steady ones, between the commits at 10 % and at
90 % of the rows of a run without a head start. The load of other processes stands beside them: where it is not small,
the rates say little.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import yaml
from PIL import Image
from pipeline import run_job
from rich.console import Console
from rich.table import Table

from inference_core import storage
from inference_core.models.package import SPEC_FILE

EVERY_IMAGE = ("execution.duplicates=each",)
"""The images are the same few again and again: each is to be worked on."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A job, and the same with its advice followed."""

    name: str
    model: str
    images: Path
    change: str
    """What is changed."""
    changed_model: str
    changed_settings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run."""

    stage: str
    sentence: str
    advice: str
    images_per_s: float
    other_load: float
    """Cores that everything else on the machine used."""


def scale_images(files: Sequence[Path], folder: Path, *, side_px: int, count: int) -> Path:
    """Write images with a long side of ``side_px`` as JPEG, and links to them up to ``count``."""
    folder.mkdir(parents=True)
    written = []
    for index, path in enumerate(files[: min(len(files), 24)]):
        with Image.open(path) as image:
            rgb = image.convert("RGB")
            factor = side_px / max(rgb.size)
            size = (max(1, round(rgb.width * factor)), max(1, round(rgb.height * factor)))
            target = folder / f"source-{index:03d}.jpg"
            rgb.resize(size, Image.Resampling.BICUBIC).save(target, quality=90)
        written.append(target)
    for index, path in enumerate(islice(cycle(written), count - len(written))):
        (folder / f"{index:07d}.jpg").symlink_to(path)
    return folder


def copy_package(model: str, folder: Path, **changes: Any) -> str:
    """A package with other facts of its input."""
    shutil.copytree(Path(storage.local_path(storage.normalise(model))), folder)
    path = folder / SPEC_FILE
    spec = yaml.safe_load(path.read_text())
    spec["input"].update(changes)
    path.write_text(yaml.safe_dump(spec))
    return str(folder)


def plan(model: str, images: Path, output: Path) -> dict[str, Any]:
    """What ``millrace plan`` expects."""
    command = [sys.executable, "-m", "jobs", "plan", "--model", model, "--input", str(images), "--output", str(output)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(model: str, images: Path, output: Path, settings: Sequence[str]) -> Measured:
    """Run a job and read what its report says."""
    times = run_job(model, images, output, [*settings, *EVERY_IMAGE, "execution.head_start=false"])
    bottleneck = json.loads((output / "report" / "summary.json").read_text())["run"]["bottleneck"]
    return Measured(
        stage=bottleneck["stage"],
        sentence=bottleneck["sentence"],
        advice=bottleneck["advice"],
        images_per_s=times.steady_images_per_s,
        other_load=times.other_load,
    )


def show_case(case: Case, folder: Path) -> dict[str, Any]:
    """Plan, run, follow the advice, run again."""
    expected = plan(case.model, case.images, folder / "planned")
    before = measure(case.model, case.images, folder / "before", [])
    after = measure(case.changed_model, case.images, folder / "after", case.changed_settings)
    table = Table(title=case.name, show_header=False)
    rows = {
        "expected": expected["estimate"]["bottleneck"]["sentence"],
        "expected rate": f"{expected['estimate']['images_per_s']:,.0f} images/s",
        "found": before.sentence,
        "advice": before.advice,
        "steady rate": f"{before.images_per_s:,.0f} images/s, others used {before.other_load:.1f} cores",
        "change": case.change,
        "then": f"{after.images_per_s:,.0f} images/s, {after.images_per_s / before.images_per_s:.2f} times; "
        f"others used {after.other_load:.1f} cores",
        "found then": after.sentence,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console(width=140).print(table)
    return {
        "case": case.name,
        "expected_stage": expected["estimate"]["bottleneck"]["stage"],
        "expected_images_per_s": expected["estimate"]["images_per_s"],
        "stage": before.stage,
        "images_per_s": before.images_per_s,
        "changed_images_per_s": after.images_per_s,
        "other_load": max(before.other_load, after.other_load),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--prepare-model", required=True, help="package of a small model, resampler pillow")
    parser.add_argument("--infer-model", required=True, help="package of a larger model in ONNX")
    parser.add_argument("--large", type=int, default=1500, help="how many large images")
    parser.add_argument("--small", type=int, default=6000, help="how many small images")
    options = parser.parse_args()
    files = sorted(path for path in options.images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    folder = Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    try:
        torch_package = copy_package(options.prepare_model, folder / "torch-resampler", resampler="torch")
        cases = [
            Case(
                name="large images, a small model",
                model=options.prepare_model,
                images=scale_images(files, folder / "large", side_px=1600, count=options.large),
                change="input.resampler: torch",
                changed_model=torch_package,
                changed_settings=(),
            ),
            Case(
                name="small images, a large model",
                model=options.infer_model,
                images=scale_images(files, folder / "small", side_px=160, count=options.small),
                change="execution.engine: auto",
                changed_model=options.infer_model,
                changed_settings=("execution.engine=auto",),
            ),
        ]
        results = [show_case(case, folder / f"case-{index}") for index, case in enumerate(cases)]
    finally:
        shutil.rmtree(folder)
    for result in results:
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
