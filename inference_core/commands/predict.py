"""``millrace predict``: images in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
from inference_core.commands.save_folder import make_save_folder

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from inference_core.models.package import ModelPackage
    from inference_core.predictor import Predictor
    from inference_core.visualize.draw import Kind

    PictureKind = Kind | Literal["before_after"]

MAX_SAMPLE = 32
"""Of the images, the first, for what has to be decided on some."""


def predict(
    images: Annotated[list[str], typer.Argument(help="Paths or URIs.")],
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)],
    save: Annotated[Path | None, typer.Option(help="Folder for masks and pictures.")] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Open a window with each picture; a key goes on, q ends.")
    ] = False,
    kind: Annotated[
        str, typer.Option("--kind", help="Of pictures: auto, overlay, contours, mask, heatmap, uncertainty, boxes, ...")
    ] = "auto",
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

    if show:
        from inference_core.visualize.window import check_display

        check_display(key="--show")
    with open_named_model(model, assignments, trusts_code=trust_package_code) as opened:
        package = with_views(opened, views)
        chosen = picture_kind(package, kind, is_wanted=show or save is not None)
        make_save_folder(save)
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
        num_failed = print_predictions(package, predictor, images, save=save, show=show, kind=chosen)
    if num_failed:
        raise typer.Exit(EXIT_TOO_MANY_ERRORS)


def with_views(package: ModelPackage, views: str) -> ModelPackage:
    """The package with views named on the command line; itself where there are none."""
    from inference_core.enhance.override import override_package
    from inference_core.enhance_spec import TtaSpec
    from inference_core.validation import build_settings

    if not views:
        return package
    names = [name.strip() for name in views.split(",")]
    return override_package(package, tta=build_settings(TtaSpec, {"views": names}, origin="--views"))


def picture_kind(package: ModelPackage, kind: str, *, is_wanted: bool) -> PictureKind | None:
    """The kind of the pictures; None where none is made: nobody wants any, or the task has none.

    Raises:
        ConfigError: the kind does not fit the task, or the package has no steps to show before and after.
    """
    from inference_core.errors import ConfigError
    from inference_core.visualize.draw import KINDS_OF, check_kind

    task = package.spec.task
    if not is_wanted or (kind == "auto" and not KINDS_OF[task]):
        return None
    if kind != "before_after":
        return check_kind(kind, task=task)
    if not package.spec.postprocess:
        raise ConfigError("must be another for a package without postprocess, got before_after", key="--kind")
    return "before_after"


def print_predictions(
    package: ModelPackage,
    predictor: Predictor,
    images: Sequence[str],
    *,
    save: Path | None,
    show: bool,
    kind: PictureKind | None,
) -> int:
    """Print a JSON object for each image, and make its mask and its picture; how many of them failed."""
    from inference_core.export.masks import encode_mask, mask_name
    from inference_core.export.rows import RowBuilder
    from inference_core.results import Segmentation

    builder = RowBuilder(package.spec, model_digest=package.digest)
    num_failed = 0
    names = file_names(images)
    for index, prediction in enumerate(predictor.predict_batch(images)):
        row = builder.row(prediction, row_id=index)
        row["engine"] = prediction.engine
        num_failed += not prediction.is_ok
        if save is not None and isinstance(prediction.result, Segmentation):
            path = save / Path(mask_name(names[index])).name
            path.write_bytes(encode_mask(prediction.result.mask, num_classes=len(package.spec.classes)))
            row["mask_path"] = str(path)
        if kind is not None and prediction.result is not None:
            picture = predictor.visualize(images[index], prediction, kind=kind)
            if save is not None:
                row["picture_path"] = save_picture(picture, save, name=f"{names[index]}.{kind}.png")
            show = show and show_until_key(picture, title=names[index])
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    return num_failed


def save_picture(picture: PillowImage, folder: Path, *, name: str) -> str:
    """Write a picture; its path."""
    from inference_core.export.masks import safe_part

    path = folder / safe_part(name, suffix=".png", is_folder=False)
    picture.save(path)
    return str(path)


def show_until_key(picture: PillowImage, *, title: str) -> bool:
    """Show a picture until a key is pressed; whether to show more."""
    import numpy as np

    from inference_core.visualize.window import show_picture

    return show_picture(np.asarray(picture), title=title)


def file_names(images: Sequence[str]) -> list[str]:
    """A file name for each image: its own, behind its position where two images have the same."""
    names = [Path(image).name for image in images]
    if len(set(names)) == len(names):
        return names
    return [f"{index}-{name}" for index, name in enumerate(names)]
