"""Write a run's answers in formats of other tools, whenever somebody asks for them."""

from __future__ import annotations

from typing import get_args

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.export.annotation_format import check_format
from inference_core.export.coco import Shape
from inference_core.export.export_run import Exported, export_run
from inference_core.export.export_source import ExportOptions
from jobs.annotations import FOLDER, source_of
from jobs.page_again import write_page_again
from jobs.places import blamed_on, check_output_place
from jobs.plan import load_plan
from jobs.settings import folder_uri


def export(
    output: str,
    *formats: str,
    to: str | None = None,
    shape: Shape = "polygons",
    min_score: float = 0.0,
    min_area_px: int = 1,
    with_scores: bool = False,
) -> list[Exported]:
    """Write a run's committed answers in other formats; see docs/annotations.md. The same call again goes on.

    Args:
        output: the run's folder or prefix.
        formats: coco, yolo, voc, labelstudio, fiftyone, csv or jsonl.
        to: folder or prefix; each format has a folder of its name there. By default ``annotations`` of the output,
            where the run's page, if there is one, then links to it.
        shape: of objects with pixels in COCO: polygons, with rle for those with holes; or rle.
        min_score: leave out objects and classes below.
        min_area_px: leave out objects with fewer pixels.
        with_scores: let YOLO and VOC tell scores, which labels to train on have not.

    Raises:
        ConfigError: there is no run, a format is none or has no place for its answers, or masks were not kept.
        JobError: nothing is committed yet.
    """
    uri = folder_uri(output, key="output")
    with blamed_on("output"):
        plan = load_plan(uri)
    for name in formats:
        check_format(name, task=plan.task, key="--format")
    if shape not in get_args(Shape):
        raise ConfigError(f"must be polygons or rle, got {shape!r}; correct it", key="--shape")
    if not 0 <= min_score <= 1:
        raise ConfigError(f"must lie between 0 and 1, got {min_score:g}; correct it", key="--min-score")
    own = storage.join(uri, FOLDER)
    target = own if to is None else folder_uri(to, key="--to")
    check_output_place(target)
    options = ExportOptions(shape=shape, min_score=min_score, min_area_px=min_area_px, with_scores=with_scores)
    source = source_of(uri, plan)
    exported = [export_run(source, name, storage.join(target, name), options) for name in dict.fromkeys(formats)]
    if target == own:
        write_page_again(uri, plan)
    return exported
