"""Which columns of a row differ from those that a service gave, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from inference_core.errors import ShapeError
from inference_core.export.mask_files import read_plane
from serve.replay.given import Given
from serve.replay.rows_of_run import RunRow

OWN_COLUMNS = frozenset(
    {"row_id", "image_id", "uri", "reused_from", "frame_index", "time_s", "mask_path", "map_path", "mask_rle"}
)
"""Of the run: what an image is called there, and where its answer stands."""
MASK = "mask"
"""Stands for the pixels of the mask among the columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One column that differs."""

    column: str
    size: float
    """Largest absolute difference of its numbers; infinite where it is not one of numbers."""
    expected: str
    """As the run has it, shortened."""
    given: str


def compared_columns(schema: pa.Schema) -> list[str]:
    """The columns that must be equal, in their order."""
    return [name for name in schema.names if name not in OWN_COLUMNS and not name.endswith("_ms")]


def row_differences(row: RunRow, given: Given, *, tolerance: float = 0.0) -> list[Difference]:
    """The columns in which an answer differs from the run's row.

    Args:
        row: of the run.
        given: the answer.
        tolerance: largest absolute difference of numbers that have a fraction; others must be equal.
    """
    names = [name for name in compared_columns(row.schema) if given.is_whole or name in given.values]
    fields = [row.schema.field(name) for name in names]
    found = as_stored(given.values, pa.schema(fields))
    differences = [
        difference(field.name, row.values[field.name], found[field.name], tolerance=tolerance) for field in fields
    ]
    if row.mask_png is not None and given.values.get("status") == "ok":
        differences.append(mask_difference(row.mask_png, given.mask_png))
    return [entry for entry in differences if entry is not None]


def as_stored(values: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """Values as a file of rows would hold them: floats of 32 bits, and absent ones null.

    Raises:
        ShapeError: they do not fit the run's columns.
    """
    try:
        (stored,) = pa.Table.from_pylist([dict(values)], schema=schema).to_pylist() or [{}]
    except (pa.ArrowException, TypeError, ValueError) as exc:
        raise ShapeError(
            f"the answer's columns must be those of the run, got others ({exc}); ask the same model"
        ) from exc
    return dict(stored)


def difference(column: str, expected: Any, given: Any, *, tolerance: float) -> Difference | None:
    """How one column differs; None where it does not."""
    size = max(gaps(expected, given), default=0.0)
    if size <= (tolerance if math.isfinite(size) else -1.0):
        return None
    return Difference(column=column, size=size, expected=shown(expected), given=shown(given))


def gaps(expected: Any, given: Any) -> Iterator[float]:
    """The differences of two values, number by number; infinite for what is no number or of another form."""
    if isinstance(expected, float) and isinstance(given, float):
        yield float_gap(expected, given)
    elif isinstance(expected, Mapping) and isinstance(given, Mapping) and expected.keys() == given.keys():
        for name in expected:
            yield from gaps(expected[name], given[name])
    elif isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        for one, other in zip(expected, given, strict=True):
            yield from gaps(one, other)
    elif type(expected) is not type(given) or expected != given:
        yield math.inf


def float_gap(expected: float, given: float) -> float:
    """The difference of two floats; NaN equals NaN."""
    if expected == given or (math.isnan(expected) and math.isnan(given)):
        return 0.0
    gap = abs(expected - given)
    return gap if math.isfinite(gap) else math.inf


def mask_difference(expected_png: bytes, given_png: bytes | None) -> Difference | None:
    """How two masks differ, by their pixels; None where they do not."""
    if given_png is None:
        return Difference(column=MASK, size=math.inf, expected="a mask", given="none")
    if expected_png == given_png:
        return None
    expected, given = (read_plane(data, origin=MASK) for data in (expected_png, given_png))
    if expected.shape != given.shape:
        return Difference(column=MASK, size=math.inf, expected=str(expected.shape), given=str(given.shape))
    num_other = int(np.count_nonzero(expected != given))
    if num_other == 0:
        return None
    return Difference(column=MASK, size=math.inf, expected=f"{expected.size} pixels", given=f"{num_other} others")


def shown(value: Any) -> str:
    """The beginning of a value."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
