"""The ``millrace`` command: the core's subcommands, and those that other packages register."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inference_core.errors import MillraceError
from inference_core.spec import InputSpec

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_TOO_MANY_ERRORS = 3
EXIT_INTERRUPTED = 130

COMMANDS_GROUP = "millrace.commands"
"""Entry points that add subcommands: each is called with the application."""


def build_app() -> typer.Typer:
    """The application with every installed subcommand."""
    app = typer.Typer(
        name="millrace",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    models = typer.Typer(no_args_is_help=True, help="Look at model packages.")
    models.command("check")(check_model)
    app.command("predict")(predict)
    app.add_typer(models, name="models")
    for entry in sorted(entry_points(group=COMMANDS_GROUP), key=lambda found: found.name):
        register: Callable[[typer.Typer], None] = entry.load()
        register(app)
    return app


def main() -> None:
    """Run the command; errors become one message and an exit code."""
    run_app(build_app())


def run_app(app: typer.Typer) -> None:
    """Run an application as a command line does and exit with its code."""
    try:
        code = app(standalone_mode=False)
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt  # typer makes a code of it without a word
    except MillraceError as exc:
        sys.stderr.write(f"error: {exc}\n")
        sys.exit(exc.exit_code)
    except typer.Exit as exc:
        sys.exit(exc.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted; the same command goes on where this one stopped\n")
        sys.exit(EXIT_INTERRUPTED)
    except UsageErrors as exc:
        exc.show()  # type: ignore[attr-defined]
        sys.exit(exc.exit_code)  # type: ignore[attr-defined]
    sys.exit(code or EXIT_DONE)


def usage_errors() -> type[Exception]:
    """The base of what the argument parser raises on wrong usage: click's, or that of the copy inside newer typers."""
    return next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


UsageErrors = usage_errors()


def predict(
    images: Annotated[list[str], typer.Argument(help="Paths or URIs.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Model package: folder or URI.")],
    save: Annotated[Path | None, typer.Option(help="Folder for masks.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Predict images in this process and print a JSON object for each."""
    from inference_core.export.masks import encode_mask, mask_name
    from inference_core.export.rows import RowBuilder
    from inference_core.models.package import load_package
    from inference_core.predictor import Predictor
    from inference_core.records import Segmentation

    package = load_package(model)
    predictor = Predictor.load(package, device=device)
    builder = RowBuilder(package.spec, model_digest=package.digest)
    num_failed = 0
    names = file_names(images)
    for index, prediction in enumerate(predictor.predict_batch(images)):
        row = builder.row(prediction, row_id=index)
        num_failed += not prediction.is_ok
        if save is not None and isinstance(prediction.result, Segmentation):
            path = save / Path(mask_name(names[index])).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_mask(prediction.result.mask, num_classes=len(package.spec.classes)))
            row["mask_path"] = str(path)
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    if num_failed:
        raise typer.Exit(EXIT_TOO_MANY_ERRORS)


def file_names(images: Sequence[str]) -> list[str]:
    """A file name for each image: its own, behind its position where two images have the same."""
    names = [Path(image).name for image in images]
    if len(set(names)) == len(names):
        return names
    return [f"{index}-{name}" for index, name in enumerate(names)]


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
