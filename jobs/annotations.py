"""A run as its export sees it, and the formats that its settings ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.export.annotation_format import check_format
from inference_core.export.coco import Shape
from inference_core.export.export_run import Exported, export_run
from inference_core.export.export_source import ExportOptions, ExportSource
from inference_core.models.package import ModelPackage
from jobs.config import ResultsConfig
from jobs.places import blamed_on, check_output_place
from jobs.plan import Plan, load_plan
from jobs.settings import folder_uri

FOLDER = "annotations"
"""Of an output, where its settings ask for them."""


def source_of(output: str, plan: Plan) -> ExportSource:
    """What is exported of a run.

    Args:
        output: the run's folder or prefix, normalised.
        plan: the run's.
    """
    return ExportSource(
        output=output,
        task=plan.task,
        classes=plan.classes,
        model_name=plan.model_name,
        model_digest=str(plan.identity["model_digest"]),
        planes=plan.kept_planes,
    )


def check_annotations(results: ResultsConfig, package: ModelPackage) -> None:
    """Raise ConfigError where a format has no place for the model's answers, or needs masks that are not kept."""
    for name in results.annotations:
        check_format(name, task=package.spec.task, key="results.annotations")
    if results.annotations and package.spec.task == "segmentation" and results.masks == "none":
        raise ConfigError(
            "must go with masks, which annotations are made of, got results.masks: none; keep them as rle, or drop one",
            key="results.annotations",
        )


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
        to: folder or prefix; each format has a folder of its name there. By default ``annotations`` of the output.
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
    target = storage.join(uri, FOLDER) if to is None else folder_uri(to, key="--to")
    check_output_place(target)
    options = ExportOptions(shape=shape, min_score=min_score, min_area_px=min_area_px, with_scores=with_scores)
    source = source_of(uri, plan)
    return [export_run(source, name, storage.join(target, name), options) for name in dict.fromkeys(formats)]


def write_annotations(output: str, plan: Plan, names: Sequence[str]) -> list[Exported]:
    """Write formats below a run's own output."""
    source = source_of(output, plan)
    return [export_run(source, name, storage.join(output, FOLDER, name), ExportOptions()) for name in names]
