"""``millrace models check``: what a package says, and whether it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inference_core.commands.engine_options import DeviceOption, EngineOption, PrecisionOption, ThreadsOption
from inference_core.commands.model_facts import MODEL_HELP, FactsOption, TrustOption, open_named_model
from inference_core.commands.tables import print_table
from inference_core.input_spec import InputSpec

if TYPE_CHECKING:
    from inference_core.architecture_spec import Format
    from inference_core.models.package import ModelPackage
    from inference_core.runner import Runner


def check_model(
    model: Annotated[str, typer.Argument(metavar="PACKAGE", help=MODEL_HELP)],
    device: DeviceOption = "auto",
    engine: EngineOption = "default",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = 0,
    probe: Annotated[bool, typer.Option("--probe", help="Time batch sizes on noise of the input's size.")] = False,
    assignments: FactsOption = None,
    trust_package_code: TrustOption = False,
) -> None:
    """Load a package, run a blank image through it and print what was understood."""
    from inference_core.pipeline import build_runner, check_runner

    with open_named_model(model, assignments, trusts_code=trust_package_code) as package:
        runner = build_runner(package, device=device, engine=engine, precision=precision, num_threads=threads)
        check_runner(package, runner)
        show_package(package, runner)
        if probe:
            show_batch_sizes(package, runner)


def show_package(package: ModelPackage, runner: Runner) -> None:
    """Print what was understood."""
    from inference_core.hooks.named import import_paths
    from inference_core.tasks.merged_spec import merge_of

    spec = package.spec
    facts: dict[str, Any] = {
        "name": spec.name,
        "task": spec.task,
        "format": spec.format,
        "weights": package.weights_uri or "those of its members",
        "classes": f"{len(spec.classes)}: {', '.join(spec.classes[:6])}{', ...' if len(spec.classes) > 6 else ''}",
        "input": "\n".join(input_text(block.spec.input) for block in package.blocks),
        "engine": str(runner.engine_facts),
        "engines": engines_text(spec.format, device=runner.engine_facts.device),
        "threads": runner.engine_facts.num_threads or "as many as the engine takes",
        "batch": batch_text(runner.engine_facts.max_batch),
        "digest": package.digest,
    }
    if spec.tta is not None:
        facts["views"] = f"{', '.join(spec.tta.views)}; merged by {merge_of(spec)}"
    if spec.dropout is not None:
        facts["dropout"] = f"{spec.dropout.samples} samples, seed {spec.dropout.seed}"
    if spec.ensemble is not None:
        weighed = zip(package.members, spec.ensemble.members, strict=True)
        members = [f"{found.uri} by {declared.weight:g}, {found.digest[:12]}" for found, declared in weighed]
        where = " in the image, since their inputs differ" if package.has_unlike_inputs else ""
        facts["members"] = "\n".join([*members, f"merged by {merge_of(spec)}{where}"])
    if paths := import_paths(spec):
        facts["functions"] = "\n".join(paths)
    if package.code:
        facts["code in the package"] = "\n".join(f"{path} sha256 {sha}" for path, sha in package.code.digests().items())
    if runner.engine_facts.notes:
        facts["weights hold"] = "\n".join(runner.engine_facts.notes)
    table = Table(title="package works", show_header=False)
    table.add_column("fact")
    table.add_column("value", overflow="fold")  # long paths are shown whole
    for key, value in facts.items():
        table.add_row(key, Text(str(value)))  # Text, since a path may hold what rich takes for markup
    print_table(table)


def input_text(spec: InputSpec) -> str:
    """How an image becomes the model's input."""
    return f"{spec.fit} {size_text(spec)} {spec.color}, {spec.resampler} {spec.interpolation}"


def size_text(spec: InputSpec) -> str:
    """The input's size, or what it follows."""
    if spec.size_hw is None:
        return f"(each image's size, up to a multiple of {spec.multiple_px})"
    return f"{spec.size_hw[0]}x{spec.size_hw[1]}"


def engines_text(weights_format: Format, *, device: str) -> str:
    """The engines that run a format on a device, and those that would if they were installed."""
    from inference_core.engines.table import installed_engines, runnable_engines

    able = runnable_engines(weights_format, device=device)
    here = installed_engines(weights_format, device=device)
    missing = [name for name in able if name not in here]
    return ", ".join(here) + (f"; not installed: {', '.join(missing)}" if missing else "")


def batch_text(max_batch: int | None) -> str:
    """How many images the model takes at a time."""
    if max_batch is None:
        return "any number of images at a time"
    count = "1 image" if max_batch == 1 else f"{max_batch} images"
    return f"the graph takes {count} at a time: runs as such"


def show_batch_sizes(package: ModelPackage, runner: Runner) -> None:
    """Time batches of noise and print a line for each size."""
    from inference_core.batch_choice import choose_batch_size
    from inference_core.choice_lines import describe_batch
    from inference_core.pipeline import blank_hw, build_preparer

    height, width = blank_hw(package.spec.input)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    item = build_preparer(package).prepare(noise, image_id="noise")
    Console(soft_wrap=True).print("\n".join(describe_batch(choose_batch_size(runner, [item]))), highlight=False)
