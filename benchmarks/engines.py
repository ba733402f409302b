"""Images per second of every engine and precision that runs a model here, as ratios to the format's own in fp32.

    python benchmarks/engines.py --model PACKAGE --images FOLDER [--model PACKAGE --images FOLDER ...]
    python benchmarks/engines.py --assets ../shared/assets

The second form measures the models of that folder (MobileNetV1 0.25 at 128, the retina U-Net, FastestDet) and the
U-Net of `examples/cells`.

One thread, batches of the job's size. The candidates take turns, round after round, so that whatever else the machine
does hits all alike; the median of the rounds counts. Beside the rate stands what the precision costs: the share of
answers that differ from the reference's and the largest difference of any output value. A package whose weights are
for torch is also measured as the ONNX graph that `millrace models export` would make of it. Slow models are measured
on fewer images.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from inference_core.agreement import disagreement, largest_difference
from inference_core.convert.repackage import with_weights
from inference_core.engines.build import build_engine
from inference_core.engines.choose import list_candidates
from inference_core.engines.protocol import Engine
from inference_core.engines.table import ENGINES_OF_FORMAT
from inference_core.errors import ConfigError, ModelError
from inference_core.items import Prediction, PreparedItem
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import CPU_BATCH_SIZE, build_finisher, build_preparer, build_runner
from inference_core.runner import Runner, to_numpy
from inference_core.tasks.build import build_task

ROOT = Path(__file__).resolve().parents[1]
MAX_ROUND_S = 2.0
"""Of the format's own engine on the sample."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One engine in one precision."""

    model: str
    engine: str
    images_per_s: float
    ratio: float
    """To the first row of the model."""
    max_difference: float | None
    flips_frac: float


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A loaded engine with its answers on the sample."""

    name: str
    engine: Engine
    runner: Runner
    answers: Sequence[Prediction]


def as_onnx(package: ModelPackage, *, tile_hw: tuple[int, int]) -> ModelPackage:
    """The same package around the ONNX graph of its module."""
    from inference_core.convert.to_onnx import export_onnx
    from inference_core.models.torch_module import build_module

    graph = export_onnx(build_module(package).module, package.spec.input, tile_hw=tile_hw)
    return with_weights(package, weights_format="onnx", files={"model.onnx": graph})


def prepare_sample(package: ModelPackage, files: Sequence[Path], *, count: int) -> list[PreparedItem]:
    """Prepared images, those of the most frequent shape alone, so that batches are full."""
    preparer = build_preparer(package)
    items = [preparer.prepare(path.read_bytes(), image_id=path.name) for path in islice(cycle(files), count)]
    shapes = [item.prepared.tiles.shape for item in items if item.prepared]
    usual = max(set(shapes), key=shapes.count)
    return [item for item in items if item.prepared and item.prepared.tiles.shape == usual]


def shorten_sample(package: ModelPackage, items: list[PreparedItem]) -> list[PreparedItem]:
    """As many images as the format's own engine runs in MAX_ROUND_S, one at least."""
    runner = build_runner(package, device="cpu", precision="fp32", num_threads=1)
    runner.infer(items[:1])
    started = time.perf_counter()
    runner.infer(items[:1])
    return items[: max(int(MAX_ROUND_S / (time.perf_counter() - started)), 1)]


def load_candidates(package: ModelPackage, items: Sequence[PreparedItem], *, label: str) -> list[Candidate]:
    """Every engine that runs the package here; torch also compiled."""
    finisher = build_finisher(package)
    found = []
    for name, precision in list_candidates(package.spec.format, device="cpu", precision="auto"):
        for compiles in (False, True) if name == "torch" else (False,):
            try:
                engine = build_engine(
                    package, device="cpu", precision=precision, num_threads=1, engine=name, compiles=compiles
                )
            except (ConfigError, ModelError) as exc:
                sys.stderr.write(f"{name} {precision} left out: {exc}\n")
                continue
            runner = Runner(engine, build_task(package.spec, code=package.code), batch_size=CPU_BATCH_SIZE)
            answers = [finisher.finish(raw) for raw in runner.infer(items)]
            found.append(Candidate(name=f"{label}{engine.facts}", engine=engine, runner=runner, answers=answers))
    return found


def time_rounds(candidates: Sequence[Candidate], items: Sequence[PreparedItem], *, rounds: int) -> list[float]:
    """Median images per second of each candidate, taking turns."""
    times_s: list[list[float]] = [[] for _ in candidates]
    for _ in range(rounds):
        for index, candidate in enumerate(candidates):
            started = time.perf_counter()
            candidate.runner.infer(items)
            times_s[index].append(time.perf_counter() - started)
    return [len(items) / statistics.median(times) for times in times_s]


def measure(model: str, folder: Path, *, count: int, rounds: int) -> list[Row]:
    """All rows of one model."""
    package = load_package(model)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".tif"))
    items = prepare_sample(package, files, count=count)
    first = items[0].prepared
    assert first is not None, "the sample holds good images alone"
    items = shorten_sample(package, items)
    candidates = load_candidates(package, items, label="")
    if "torch" in ENGINES_OF_FORMAT[package.spec.format]:
        candidates += load_candidates(as_onnx(package, tile_hw=first.placement.tile_hw), items, label="as ONNX: ")
    rates = time_rounds(candidates, items, rounds=rounds)
    tiles = first.tiles[: candidates[0].engine.facts.max_batch or CPU_BATCH_SIZE]
    outputs = [{name: to_numpy(one) for name, one in item.engine.run(tiles).items()} for item in candidates]
    return [
        Row(
            model=package.spec.name,
            engine=candidate.name,
            images_per_s=rate,
            ratio=rate / rates[0],
            max_difference=largest_difference(outputs[0], output),
            flips_frac=float(np.mean(list(map(disagreement, candidates[0].answers, candidate.answers)))),
        )
        for candidate, rate, output in zip(candidates, rates, outputs, strict=True)
    ]


def rate_text(images_per_s: float) -> str:
    """A rate with what digits it deserves."""
    return f"{images_per_s:,.0f}" if images_per_s >= 10 else f"{images_per_s:.2f}"


def print_rows(rows: Sequence[Row]) -> None:
    """A table for people."""
    table = Table("model", "engine", "images/s", "ratio", "largest difference", "answers that differ")
    for row in rows:
        difference = "not finite" if row.max_difference is None else f"{row.max_difference:.2g}"
        table.add_row(
            row.model, row.engine, rate_text(row.images_per_s), f"{row.ratio:.2f}", difference, f"{row.flips_frac:.2%}"
        )
    Console(stderr=True, width=130).print(table)


def asset_models(assets: Path, scratch: Path) -> list[tuple[str, Path]]:
    """Packages and folders of images for them."""
    sys.path.insert(0, str(ROOT))  # the architectures of these weights lie beside the tests
    from tests.asset_packages import mobilenet_package, retina_package
    from tests.detection_packages import fastestdet_package

    drawn = scratch / "cells"
    generate = [sys.executable, str(ROOT / "examples" / "cells" / "generate.py"), "--out", str(drawn), "--count", "16"]
    subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)
    return [
        (str(mobilenet_package(scratch / "mobilenet", assets, kind="pth")), assets / "classification" / "imagenet"),
        (str(ROOT / "examples" / "cells" / "package"), drawn / "images"),
        (str(retina_package(scratch / "retina", assets, kind="pth")), assets / "retina" / "chasedb1" / "images"),
        (str(fastestdet_package(scratch / "fastestdet", assets)), assets / "coco_val" / "images"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[], help="package; may be repeated")
    parser.add_argument("--images", action="append", default=[], type=Path, help="folder, one for each model")
    parser.add_argument("--assets", type=Path, help="the shared folder of models and photographs")
    parser.add_argument("--count", type=int, default=64, help="images of the sample")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        models = list(zip(arguments.model, arguments.images, strict=True))
        models += asset_models(arguments.assets.resolve(), Path(scratch)) if arguments.assets else []
        for model, folder in models:
            rows += measure(model, folder, count=arguments.count, rounds=arguments.rounds)
    print_rows(rows)
    sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
