"""``millrace models check``: what a package says, and whether it works."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inference_core.input_spec import InputSpec


def check_model(package_uri: Annotated[str, typer.Argument(metavar="PACKAGE", help="Folder or URI.")]) -> None:
    """Load a package, run a blank image through it and print what was understood."""
    from inference_core.models.package import load_package
    from inference_core.pipeline import build_runner, check_runner

    package = load_package(package_uri)
    runner = build_runner(package)
    check_runner(package, runner)
    spec = package.spec
    facts: dict[str, Any] = {
        "name": spec.name,
        "task": spec.task,
        "format": spec.format,
        "weights": package.weights_uri,
        "classes": f"{len(spec.classes)}: {', '.join(spec.classes[:6])}{', ...' if len(spec.classes) > 6 else ''}",
        "input": f"{spec.input.fit} {size_text(spec.input)} {spec.input.color}, {spec.input.resampler} "
        f"{spec.input.interpolation}",
        "engine": str(runner.engine_facts),
        "digest": package.digest,
    }
    table = Table(title="package works", show_header=False)
    table.add_column("fact")
    table.add_column("value", overflow="fold")  # long paths are shown whole
    for key, value in facts.items():
        table.add_row(key, Text(str(value)))  # Text, since a path may hold what rich takes for markup
    Console().print(table)


def size_text(spec: InputSpec) -> str:
    """The input's size, or what it follows."""
    if spec.size_hw is None:
        return f"(each image's size, up to a multiple of {spec.multiple_px})"
    return f"{spec.size_hw[0]}x{spec.size_hw[1]}"
