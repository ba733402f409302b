"""Rows as CSV and as JSON lines: views of the Parquet files for programs that read neither."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from inference_core.export.json_text import json_text
from inference_core.safe_text import csv_cell

LINE_END = "\r\n"
"""Cells that hold one of the two are quoted; it is taken off again."""


def json_lines(rows: pa.Table) -> list[str]:
    """A JSON object for each row, by column name."""
    return [json_text(row) for row in rows.to_pylist()]


def csv_lines(rows: pa.Table) -> list[str]:
    """A line for each row; nested values are JSON, and no cell is a formula to a spreadsheet."""
    return [csv_line([cell_text(value) for value in row.values()]) for row in rows.to_pylist()]


def csv_line(cells: Sequence[str]) -> str:
    """Cells with commas between and quotes where needed."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=LINE_END).writerow(cells)
    return text.getvalue().removesuffix(LINE_END)


def cell_text(value: Any) -> str:
    """A value in a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.9g}"  # enough to give back a float32
    if isinstance(value, str):
        return csv_cell(value)
    return str(value) if isinstance(value, int) else json_text(value)
