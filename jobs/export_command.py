"""``millrace export``: a run's answers as annotations for other tools, or as plain tables."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.status_command import write_table

if TYPE_CHECKING:
    from inference_core.export.export_run import Exported


def export_answers(
    output: Annotated[str, typer.Argument(help="Folder or prefix of a run, finished or not.")],
    formats: Annotated[
        list[str],
        typer.Option("--format", help="coco, yolo, voc, labelstudio, fiftyone, csv or jsonl; may be repeated."),
    ],
    to: Annotated[
        str | None,
        typer.Option(
            help="Folder or prefix; each format has a folder of its name there. By default OUTPUT/annotations."
        ),
    ] = None,
    shape: Annotated[
        str, typer.Option(help="Of objects with pixels in COCO: polygons, with rle for those with holes; or rle.")
    ] = "polygons",
    min_score: Annotated[float, typer.Option(help="Leave out objects and classes below.")] = 0.0,
    min_area_px: Annotated[int, typer.Option(min=1, help="Leave out objects with fewer pixels.")] = 1,
    scores: Annotated[
        bool, typer.Option("--scores", help="Let YOLO and VOC tell scores, which labels to train on have not.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each format.")] = False,
) -> None:
    """Write a run's committed answers in other formats. The same command again goes on where it was stopped."""
    from jobs.export_answers import export

    written = export(
        output,
        *formats,
        to=to,
        shape=shape,  # type: ignore[arg-type]  # which export checks
        min_score=min_score,
        min_area_px=min_area_px,
        with_scores=scores,
    )
    for exported in written:
        if as_json:
            sys.stdout.write(json.dumps(asdict(exported)) + "\n")
        else:
            write_table(exported_rows(exported))


def exported_rows(exported: Exported) -> list[tuple[str, str]]:
    """What was written, in two lines."""
    counts = (
        (exported.num_objects, "objects"),
        (exported.num_left_out, "left out, which have no answer"),
        (exported.num_image_files, "files of single images"),
    )
    told = [f"{exported.num_images:,} images", *(f"{count:,} {what}" for count, what in counts if count)]
    return [(exported.format, ", ".join(told)), ("", f"{exported.target}/ {', '.join(exported.files)}")]
