"""Result rows: one Arrow schema family for all tasks, common columns first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from inference_core.export.mask_files import PlaneOutput
from inference_core.export.mask_runs import RUNS_FIELD, runs_of_mask
from inference_core.items import Prediction
from inference_core.quality.columns import quality_fields, quality_row
from inference_core.results import Segmentation
from inference_core.spec import ModelSpec
from inference_core.tasks.build import build_task
from inference_core.tasks.protocol import Task

SCHEMA_VERSION = 1
"""Raised when a column changes its meaning or its type."""

COMMON_FIELDS: tuple[pa.Field, ...] = (
    pa.field("row_id", pa.int64(), nullable=False),
    pa.field("image_id", pa.string(), nullable=False),
    pa.field("uri", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("error", pa.string(), nullable=False),
    pa.field("size_bytes", pa.int64(), nullable=False),
    pa.field("sha256", pa.string(), nullable=False),
    pa.field("format", pa.string(), nullable=False),
    pa.field("decoder", pa.string(), nullable=False),
    pa.field("orientation", pa.int32(), nullable=False),
    pa.field("page", pa.int32(), nullable=False),
    pa.field("num_pages", pa.int32(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),
    pa.field("frame_index", pa.int64()),
    pa.field("time_s", pa.float64()),
    pa.field("reused_from", pa.string()),
)
"""What every row tells of its input; "" and 0 where the image did not get so far, null where it is no frame, and
where the answer is this run's own."""

TIME_FIELDS: tuple[pa.Field, ...] = (
    pa.field("fetch_ms", pa.float32(), nullable=False),
    pa.field("prepare_ms", pa.float32(), nullable=False),
    pa.field("infer_ms", pa.float32(), nullable=False),
    pa.field("finish_ms", pa.float32(), nullable=False),
)
"""Time spent on the image; the only columns that differ between two runs of the same job."""


MAP_FIELD = pa.field("map_path", pa.string())
"""With ``results.maps``: the score map's file below the output."""

DEFAULT_PLANES = PlaneOutput()


def plane_fields(spec: ModelSpec, planes: PlaneOutput) -> tuple[pa.Field, ...]:
    """Columns that stand behind those of the task where the job asks for them."""
    if spec.task != "segmentation":
        return ()
    return (RUNS_FIELD,) * planes.has_runs + (MAP_FIELD,) * planes.has_maps


def row_schema(task_name: str, result_fields: Sequence[pa.Field], *, model_digest: str) -> pa.Schema:
    """The schema of a run's rows, with what identifies them as metadata."""
    metadata = {
        "millrace.schema": str(SCHEMA_VERSION),
        "millrace.task": task_name,
        "millrace.model_digest": model_digest,
    }
    return pa.schema([*COMMON_FIELDS, *result_fields, *TIME_FIELDS], metadata=metadata)


def rows_table(rows: Sequence[dict[str, Any]], *, schema: pa.Schema) -> pa.Table:
    """Rows as a table of exactly ``schema``; absent values become null."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def row_of(prediction: Prediction, task: Task | None, *, row_id: int) -> dict[str, Any]:
    """One prediction as a row, by column name.

    Args:
        prediction: of one image.
        task: of the model; None where there is no result.
        row_id: its place in the list.
    """
    source, times = prediction.source, prediction.stage_ms
    return {
        "row_id": row_id,
        "image_id": source.image_id,
        "uri": source.uri,
        "status": prediction.status,
        "error": prediction.error,
        "size_bytes": source.size_bytes,
        "sha256": source.sha256,
        "format": source.format,
        "decoder": source.decoder,
        "orientation": source.orientation,
        "page": source.page,
        "num_pages": source.num_pages,
        "height": source.image_hw[0],
        "width": source.image_hw[1],
        "frame_index": source.frame_index,
        "time_s": source.time_s,
        "reused_from": None,
        **(task.to_row(prediction.result) if task is not None and prediction.result is not None else {}),
        **quality_row(prediction),
        "fetch_ms": times.fetch,
        "prepare_ms": times.prepare,
        "infer_ms": times.infer,
        "finish_ms": times.finish,
    }


class RowBuilder:
    """Makes the rows of one model.

    Args:
        spec: the model's.
        model_digest: written into the schema's metadata.
        planes: what is kept of pixels. Rows hold instance masks unless its masks are ``none``, and the masks of a
            segmentation where they are ``rle``.
    """

    def __init__(self, spec: ModelSpec, *, model_digest: str, planes: PlaneOutput = DEFAULT_PLANES) -> None:
        self._keeps_masks = planes.masks != "none"
        self._keeps_runs = planes.has_runs
        self._task = build_task(spec)
        fields = (*self._task.result_fields, *quality_fields(spec), *plane_fields(spec, planes))
        self.schema = row_schema(spec.task, fields, model_digest=model_digest)

    def row(self, prediction: Prediction, *, row_id: int) -> dict[str, Any]:
        """One prediction by column name."""
        row = row_of(prediction, self._task, row_id=row_id)
        if self._keeps_runs and isinstance(prediction.result, Segmentation):
            row[RUNS_FIELD.name] = runs_of_mask(prediction.result.mask)
        for values in () if self._keeps_masks else row.get("objects", ()):
            values.update({"mask": None} if "mask" in values else {})
        return row

    def table(self, rows: Sequence[dict[str, Any]]) -> pa.Table:
        """Rows as a table of exactly ``schema``."""
        return rows_table(rows, schema=self.schema)
