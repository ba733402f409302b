"""``millrace predict``: images in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from inference_core.commands.exit_codes import EXIT_TOO_MANY_ERRORS


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
