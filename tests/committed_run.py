"""Committed rows of made-up answers, without a model and a job."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inference_core import storage
from inference_core.export.export_source import ExportSource
from inference_core.export.mask_files import PlaneOutput
from inference_core.export.rows import RowBuilder
from inference_core.items import Prediction
from inference_core.records import SourceFacts
from inference_core.results import Classification, Detection, InstanceMask, Result, Segmentation
from inference_core.run_length import encode_mask
from inference_core.spec import ModelSpec

HOSTILE = (
    "<script>alert(1)</script>.png",
    "../../etc/passwd",
    '=cmd|"/c calc"!A0.jpg',
    "a & 'b' \"c\".jpg",
    "späße/日本\u202egpj.png",
    "line\nbreak\x07.jpg",
)
"""Names that somebody's tool would run, resolve or break on."""
CLASSES = ("<b>cat</b>", "d\"o'g & co")
RUN = PlaneOutput(masks="rle")


def found_in(image_id: str, result: Result | None, *, image_hw: tuple[int, int] = (20, 30)) -> Prediction:
    """A prediction; without a result it failed."""
    source = SourceFacts(image_id=image_id, uri=f"file:///in/{image_id}", image_hw=image_hw)
    if result is None:
        return Prediction(source=source, status="decode_error", error="=broken")
    return Prediction(source=source, status="ok", result=result)


def boxes(*boxes_xyxy: tuple[float, ...], masks: Sequence[NDArray[np.bool_]] = ()) -> Detection:
    """Boxes of the two classes in turn."""
    count = len(boxes_xyxy)
    class_ids = np.arange(count, dtype=np.int32) % 2
    kept = tuple(
        InstanceMask(size_hw=(mask.shape[0], mask.shape[1]), counts=encode_mask(mask), area_px=int(mask.sum()))
        for mask in masks
    )
    return Detection(
        boxes_xyxy=np.array(boxes_xyxy, np.float32).reshape(-1, 4),
        scores=np.linspace(0.9, 0.1, count).astype(np.float32),
        class_ids=class_ids,
        labels=tuple(CLASSES[index] for index in class_ids),
        masks=kept if masks else None,
    )


def pixels(mask: NDArray[np.uint8]) -> Segmentation:
    """The answer of a segmentation."""
    counts = np.bincount(mask.ravel(), minlength=2)
    return Segmentation(
        mask=mask,
        scores=np.full(mask.shape, 204, np.uint8),
        class_pixels=counts,
        class_scores=np.full(2, 0.8, np.float32),
        labels=CLASSES,
    )


def one_class(class_id: int) -> Classification:
    """The answer of a classification."""
    return Classification(
        class_ids=np.array([class_id], np.int32),
        scores=np.array([0.75], np.float32),
        labels=(CLASSES[class_id],),
        entropy=0.5,
    )


def commit(output: Path, spec: ModelSpec, *shards: Sequence[Prediction], token: str = "a") -> ExportSource:
    """Rows of some shards with their records."""
    builder = RowBuilder(spec, model_digest="d" * 64, planes=RUN)
    first = 0
    for shard_id, predictions in enumerate(shards):
        rows = [builder.row(one, row_id=first + index) for index, one in enumerate(predictions)]
        first += len(rows)
        path = f"data/part-{shard_id:06d}-{token}.parquet"
        (output / "data").mkdir(parents=True, exist_ok=True)
        (output / "_commits").mkdir(exist_ok=True)
        pq.write_table(builder.table(rows), output / path)
        record = {"shard_id": shard_id, "data": {"path": path}}
        (output / "_commits" / f"{shard_id:06d}.json").write_text(json.dumps(record))
    return ExportSource(
        output=storage.normalise(str(output)),
        task=spec.task,
        classes=CLASSES,
        model_name="m",
        model_digest="d" * 64,
        planes=RUN,
    )
