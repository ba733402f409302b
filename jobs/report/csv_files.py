"""``per_class.csv``, ``errors.csv`` and ``review.csv``: UTF-8, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from inference_core.stats.summary import Summary
from inference_core.status import STATUSES
from jobs.report.class_table import class_rows
from jobs.report.facts import ErrorRow
from jobs.report.review_rows import review_rows
from jobs.report.safe_text import csv_cell

Cell = str | int | float | None


def per_class_csv(summary: Summary) -> bytes:
    """All classes by class id."""
    names = ("class_id", "label", "images", "images_frac", "objects", "pixels", "pixels_frac", "score_mean")
    return write_csv(names, ([getattr(row, name) for name in names] for row in class_rows(summary)))


def errors_csv(errors: Iterable[ErrorRow]) -> bytes:
    """All images without an answer, by status and image id."""
    rows = ([row.image_id, row.uri, row.status, row.error] for row in sorted_errors(errors))
    return write_csv(("image_id", "uri", "status", "error"), rows)


def review_csv(summary: Summary) -> bytes:
    """The images to look at, first those to look at first."""
    rows = (
        [
            row.rank,
            row.image_id,
            row.uri,
            row.verdict,
            "; ".join(row.reasons),
            row.priority,
            row.score,
            row.class_id if row.class_id >= 0 else None,
            row.label,
        ]
        for row in review_rows(summary)
    )
    names = ("rank", "image_id", "uri", "verdict", "reasons", "priority", "score", "class_id", "label")
    return write_csv(names, rows)


def sorted_errors(errors: Iterable[ErrorRow]) -> list[ErrorRow]:
    """By status in its usual order, then by image id, so that the order of completion leaves no trace."""
    return sorted(errors, key=lambda row: (STATUSES.index(row.status), row.image_id, row.uri, row.error))


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Rows as CSV with quotes where needed; what cannot be UTF-8 is written as an escape."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode("utf-8", errors="backslashreplace")


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.9g}"  # enough to give back a float32
    return csv_cell(value) if isinstance(value, str) else str(value)
