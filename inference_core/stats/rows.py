"""The columns of result rows as arrays: what the statistics read from an Arrow table, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.output_spec import TaskName
from inference_core.stats.timings import STAGES

FACT_COLUMNS = ("image_id", "uri", "status", "size_bytes", "height", "width", "format", "decoder")
"""What every row tells of its input."""
TASK_COLUMNS: dict[TaskName, tuple[str, ...]] = {
    "classification": ("class_id", "score", "entropy"),
    "multilabel": ("class_ids", "scores", "score", "top_k"),
    "detection": ("objects", "num_objects", "score"),
    "segmentation": ("classes", "score", "foreground_frac"),
    "embedding": (),
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finds:
    """Classes that were found in images: N pairs of an image and a class that it shows."""

    class_ids: NDArray[np.int64]
    """(N,)"""
    objects: NDArray[np.int64]
    """(N,) boxes of the class in the image; 0 but for detection."""
    pixels: NDArray[np.int64]
    """(N,) pixels of the class in the image, above 0; 0 but for segmentation."""
    scores: NDArray[np.float64]
    """(N,) of the class in the image; for detection, that of the best box."""


def finds_of(ok: pa.Table, *, task: TaskName) -> Finds:
    """Every find of a class in an image that has an answer."""
    match task:
        case "classification":
            return finds_without_size(integers_of(ok["class_id"], name="class_id"), reals_of(ok["score"]))
        case "multilabel":
            class_ids, scores = pc.list_flatten(ok["class_ids"]), pc.list_flatten(ok["scores"])
            return finds_without_size(integers_of(class_ids, name="class_ids"), reals_of(scores))
        case "detection":
            return finds_of_objects(ok["objects"])
        case "segmentation":
            return finds_of_pixels(ok["classes"])
        case "embedding":
            return finds_without_size(np.empty(0, np.int64), np.empty(0))


def finds_without_size(class_ids: NDArray[np.int64], scores: NDArray[np.float64]) -> Finds:
    """Finds that are neither boxes nor pixels."""
    zeros = np.zeros_like(class_ids)
    return Finds(class_ids=class_ids, objects=zeros, pixels=zeros, scores=scores)


def finds_of_objects(column: Any) -> Finds:
    """The boxes of a class in an image together, with the best one's score."""
    objects = pc.list_flatten(column)
    images = np.asarray(pc.list_parent_indices(column), np.int64)
    class_ids = integers_of(pc.struct_field(objects, "class_id"), name="objects.class_id")
    scores = reals_of(pc.struct_field(objects, "score"))
    pairs, position, counts = np.unique(
        np.stack([images, class_ids], axis=-1), axis=0, return_inverse=True, return_counts=True
    )  # (N, 2)
    best = np.full(len(pairs), -np.inf)
    np.maximum.at(best, position.ravel(), scores)
    return Finds(class_ids=pairs[:, 1], objects=counts.astype(np.int64), pixels=np.zeros_like(pairs[:, 1]), scores=best)


def finds_of_pixels(column: Any) -> Finds:
    """The classes that have pixels in an image."""
    finds = pc.list_flatten(column)
    class_ids, pixels = (
        integers_of(pc.struct_field(finds, name), name=f"classes.{name}") for name in ("class_id", "pixels")
    )
    present = pixels > 0
    scores = reals_of(pc.struct_field(finds, "score"))[present]
    return Finds(
        class_ids=class_ids[present], objects=np.zeros_like(pixels[present]), pixels=pixels[present], scores=scores
    )


def best_classes_of(rows: pa.Table, *, task: TaskName) -> list[int]:
    """The best class of each row; -1 where there is none, and for segmentation, whose images show many."""
    match task:
        case "classification":
            return [int(class_id) for class_id in integers_of(rows["class_id"], name="class_id")]
        case "multilabel":
            return first_class_ids(rows["top_k"])
        case "detection":
            return first_class_ids(rows["objects"])
        case _:
            return [-1] * rows.num_rows


def first_class_ids(column: Any) -> list[int]:
    """The class id of the first entry of each list, -1 of an empty one."""
    has_any = pc.greater(pc.list_value_length(column), 0)
    found = iter(pc.struct_field(pc.list_element(column.filter(has_any), 0), "class_id").to_pylist())
    return [next(found) if has_one else -1 for has_one in has_any.to_pylist()]
