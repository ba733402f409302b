"""Images per second of every engine and precision that runs a model here, as ratios to the format's own in fp32.

    python benchmarks/engines.py --model PACKAGE --images FOLDER [--model PACKAGE --images FOLDER ...]

One thread, batches of the job's size. The candidates take turns, round after round, so that whatever else the machine
does hits all alike; the median of the rounds counts. Beside the rate stands what the precision costs: the share of
answers that differ from the reference's and the largest difference of any output value. A package whose weights are
for torch is also measured as the ONNX graph that torch exports of it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from inference_core.agreement import disagreement, largest_difference
from inference_core.engines.build import build_engine
from inference_core.engines.choose import list_candidates
from inference_core.engines.protocol import Engine
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import CPU_BATCH_SIZE, build_finisher, build_preparer
from inference_core.records import Prediction, PreparedItem
from inference_core.runner import Runner, to_numpy
from inference_core.tasks.build import build_task


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


def export_onnx(package: ModelPackage, folder: Path, *, tile_hw: tuple[int, int]) -> ModelPackage:
    """The ONNX graph of a torch package's module, as a package."""
    import torch

    from inference_core.models.torch_module import build_module

    example = torch.zeros(2, package.spec.input.num_channels, *tile_hw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            build_module(package).module,
            (example,),
            folder / "net.onnx",
            dynamo=False,
            input_names=["image"],
            output_names=["output"],
            dynamic_axes={"image": {0: "batch"}, "output": {0: "batch"}},
        )
    facts = package.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"architecture"})
    facts |= {"format": "onnx", "weights": "net.onnx", "weights_sha256": None}
    (folder / "model.yaml").write_text(yaml.safe_dump(facts))
    return load_package(str(folder))


def prepare_sample(package: ModelPackage, files: Sequence[Path], *, count: int) -> list[PreparedItem]:
    """Prepared images, those of the most frequent shape alone, so that batches are full."""
    preparer = build_preparer(package)
    items = [preparer.prepare(path.read_bytes(), image_id=path.name) for path in islice(cycle(files), count)]
    shapes = [item.prepared.tiles.shape for item in items if item.prepared]
    usual = max(set(shapes), key=shapes.count)
    return [item for item in items if item.prepared and item.prepared.tiles.shape == usual]


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
            runner = Runner(engine, build_task(package.spec), batch_size=CPU_BATCH_SIZE)
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
    candidates = load_candidates(package, items, label="")
    with tempfile.TemporaryDirectory() as scratch:
        if package.spec.format in ("state_dict", "torchscript"):
            graph = export_onnx(package, Path(scratch), tile_hw=first.placement.tile_hw)
            candidates += load_candidates(graph, items, label="as ONNX: ")
        rates = time_rounds(candidates, items, rounds=rounds)
        tiles = first.tiles[: candidates[0].engine.facts.max_batch]
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


def print_rows(rows: Sequence[Row]) -> None:
    """A table for people."""
    table = Table("model", "engine", "images/s", "ratio", "largest difference", "answers that differ")
    for row in rows:
        difference = "not finite" if row.max_difference is None else f"{row.max_difference:.2g}"
        table.add_row(
            row.model, row.engine, f"{row.images_per_s:,.0f}", f"{row.ratio:.2f}", difference, f"{row.flips_frac:.2%}"
        )
    Console(stderr=True, width=130).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="package; may be repeated")
    parser.add_argument("--images", action="append", required=True, type=Path, help="folder, one for each model")
    parser.add_argument("--count", type=int, default=64, help="images of the sample")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    rows: list[Row] = []
    for model, folder in zip(arguments.model, arguments.images, strict=True):
        rows += measure(model, folder, count=arguments.count, rounds=arguments.rounds)
    print_rows(rows)
    sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
