"""The columns of result rows as arrays: what the statistics read from an Arrow table, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.spec import TaskName
from inference_core.stats.timings import STAGES

FACT_COLUMNS = ("image_id", "uri", "status", "size_bytes", "height", "width", "format", "decoder")
"""What every row tells of its input."""
TASK_COLUMNS: dict[TaskName, tuple[str, ...]] = {
    "classification": ("class_id", "score", "entropy"),
    "segmentation": ("classes", "score", "foreground_frac"),
}
"""What the rows of a task tell of the answer; read only where ``status`` is ok."""
TIME_COLUMNS = tuple(f"{stage}_ms" for stage in STAGES)


def select_columns(table: pa.Table, *, task: TaskName) -> pa.Table:
    """The columns of ``table`` that are read here.

    Raises:
        ShapeError: a column is missing.
    """
    wanted = (*FACT_COLUMNS, *TASK_COLUMNS[task], *TIME_COLUMNS)
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise ShapeError(f"table must have the columns {', '.join(wanted)}, got none named {', '.join(missing)}")
    return table.select(list(wanted))


def select_ok(table: pa.Table) -> pa.Table:
    """The rows that have an answer."""
    return table.filter(pc.field("status").cast(pa.string()) == "ok")


def reals_of(column: Any) -> NDArray[np.float64]:
    """(N,) float64 of a numeric Arrow column, NaN for null; integers up to 2^53 stay exact."""
    values: NDArray[np.float64] = np.asarray(column.cast(pa.float64(), safe=False), dtype=np.float64)
    return values


def texts_of(column: Any) -> list[str]:
    """The texts of an Arrow column, "" for null."""
    return [text or "" for text in column.to_pylist()]


def integers_of(column: Any, *, name: str) -> NDArray[np.int64]:
    """(N,) int64 of an integer Arrow column.

    Raises:
        ShapeError: there is a null.
    """
    if column.null_count:
        raise ShapeError(f"{name} must be set in rows with status ok, got null; the row is damaged")
    return np.asarray(column.cast(pa.int64()), dtype=np.int64)


def finds_of(ok: pa.Table, *, task: TaskName) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Class id, pixels and score of every find of a class in an image that has an answer.

    Returns:
        (N,) class ids, (N,) pixels (above 0; 0 for classification), (N,) scores.
    """
    if task == "classification":
        class_ids = integers_of(ok["class_id"], name="class_id")
        return class_ids, np.zeros_like(class_ids), reals_of(ok["score"])
    finds = pc.list_flatten(ok["classes"])
    class_ids, pixels = (
        integers_of(pc.struct_field(finds, name), name=f"classes.{name}") for name in ("class_id", "pixels")
    )
    present = pixels > 0
    return class_ids[present], pixels[present], reals_of(pc.struct_field(finds, "score"))[present]
