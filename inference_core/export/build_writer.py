"""The writer of a format of annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inference_core.export.coco import CocoWriter
from inference_core.export.committed_rows import read_rows
from inference_core.export.export_source import ExportOptions, ExportSource
from inference_core.export.fiftyone import FiftyOneWriter
from inference_core.export.image_names import StemNames
from inference_core.export.labelstudio import LabelStudioWriter
from inference_core.export.shard_part import Writer
from inference_core.export.voc import VocWriter
from inference_core.export.yolo import YoloWriter


def build_writer(source: ExportSource, name: str, options: ExportOptions, *, shards: Mapping[int, str]) -> Writer:
    """The writer of a format.

    Args:
        source: the run.
        name: one of AnnotationFormat that the task has a place in.
        options: what is told.
        shards: URI of each committed file of rows.

    Raises:
        ConfigError: the run kept no masks.

    Cost: yolo and voc read the ids of all images, to see which names are those of two.
    """
    classes = source.classes
    _ = source.columns  # says so where there are no masks, before anything is written
    model = f"{source.model_name} {source.model_digest[:12]}"
    if name == "coco":
        return CocoWriter(classes, shape=options.shape, description=model)
    if name == "labelstudio":
        return LabelStudioWriter(classes, task=source.task, model_version=model)
    if name == "fiftyone":
        return FiftyOneWriter(classes, task=source.task)
    names = StemNames(image_ids(shards))
    kind = YoloWriter if name == "yolo" else VocWriter
    return kind(classes, names=names, with_scores=options.with_scores)


def image_ids(shards: Mapping[int, str]) -> Iterator[str]:
    """The ids of all images."""
    for uri in shards.values():
        yield from read_rows(uri, columns=["image_id"])["image_id"].to_pylist()
