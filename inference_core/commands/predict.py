"""``millrace predict``: images in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inference_core.commands.engine_options import (
    BatchSizeOption,
    CompileOption,
    DeviceOption,
    EngineOption,
    GuardOption,
    PrecisionOption,
    ThreadsOption,
    read_batch_size,
    read_guard,
)
from inference_core.commands.exit_codes import EXIT_TOO_MANY_ERRORS
from inference_core.commands.model_facts import MODEL_HELP, FactsOption, TrustOption, open_named_model

if TYPE_CHECKING:
    from inference_core.models.package import ModelPackage
    from inference_core.predictor import Predictor

MAX_SAMPLE = 32
"""Of the images, the first, for what has to be decided on some."""


def predict(
    images: Annotated[list[str], typer.Argument(help="Paths or URIs.")],
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)],
    save: Annotated[Path | None, typer.Option(help="Folder for masks.")] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "default",
    precision: PrecisionOption = "auto",
    precision_guard: GuardOption = "fall_back",
    batch_size: BatchSizeOption = "",
    threads: ThreadsOption = 0,
    compiles: CompileOption = False,
    assignments: FactsOption = None,
    trust_package_code: TrustOption = False,
    views: Annotated[str, typer.Option(help="Test-time augmentation, as hflip,rot90; identity for none.")] = "",
) -> None:
    """Predict images in this process and print a JSON object for each."""
    from inference_core.choice_lines import describe_execution
    from inference_core.predictor import Predictor

    with open_named_model(model, assignments, trusts_code=trust_package_code) as opened:
        package = with_views(opened, views)
        predictor = Predictor.load(
            package,
            device=device,
            engine=engine,
            precision=precision,
            precision_guard=read_guard(precision_guard),
            batch_size=read_batch_size(batch_size),
            num_threads=threads,
            compiles=compiles,
            sample=images[:MAX_SAMPLE],
        )
        sys.stderr.write("".join(f"{line}\n" for line in describe_execution(predictor.choice)))
        num_failed = print_predictions(package, predictor, images, save=save)
    if num_failed:
        raise typer.Exit(EXIT_TOO_MANY_ERRORS)


def with_views(package: ModelPackage, views: str) -> ModelPackage:
    """The package with views named on the command line; itself where there are none."""
    from inference_core.enhance.override import override_forwards
    from inference_core.enhance_spec import TtaSpec
    from inference_core.validation import build_settings

    if not views:
        return package
    names = [name.strip() for name in views.split(",")]
    return override_forwards(package, tta=build_settings(TtaSpec, {"views": names}, origin="--views"))


def print_predictions(package: ModelPackage, predictor: Predictor, images: Sequence[str], *, save: Path | None) -> int:
    """Print a JSON object for each image; how many of them failed."""
    from inference_core.export.masks import encode_mask, mask_name
    from inference_core.export.rows import RowBuilder
    from inference_core.records import Segmentation

    builder = RowBuilder(package.spec, model_digest=package.digest)
    num_failed = 0
    names = file_names(images)
    for index, prediction in enumerate(predictor.predict_batch(images)):
        row = builder.row(prediction, row_id=index)
        row["engine"] = prediction.engine
        num_failed += not prediction.is_ok
        if save is not None and isinstance(prediction.result, Segmentation):
            path = save / Path(mask_name(names[index])).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_mask(prediction.result.mask, num_classes=len(package.spec.classes)))
            row["mask_path"] = str(path)
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    return num_failed


def file_names(images: Sequence[str]) -> list[str]:
    """A file name for each image: its own, behind its position where two images have the same."""
    names = [Path(image).name for image in images]
    if len(set(names)) == len(names):
        return names
    return [f"{index}-{name}" for index, name in enumerate(names)]
