"""Judge a run that was disturbed by one that was not: rows, doubles, report."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from inference_core import storage
from inference_core.stats.summary import Summary
from jobs.plan import load_plan
from jobs.report.csv_files import errors_csv, per_class_csv, review_csv
from jobs.report.summary_json import image_block
from jobs.results import read_results
from jobs.written_row import error_of
from tests.jobs.local_run import TIMES
from tests.same_result import csv_files_of, success_of, summary_of

Row = Mapping[str, Any]
IDENTITY = ("row_id", "image_id", "uri")
"""What is known of an image that nobody could touch."""
UNTOUCHED = {"orientation": 1}
"""Of such an image, where other columns are empty."""
CRASHED = re.compile(
    r"the process that worked on the image "
    r"(was ended by SIG[A-Z]+|ended with exit code \d+|gave no answer within \d+ s|used more than \d+ MB of memory)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a finished run left behind, without what may differ."""

    table: pa.Table
    """All rows that the commit log vouches for, by row id."""
    summary: Mapping[str, Any]
    csv_files: Mapping[str, bytes]
    success: Mapping[str, Any]
    num_data_files: int

    @property
    def rows(self) -> list[Row]:
        """The rows without their times."""
        found: list[Row] = self.table.drop_columns(list(TIMES)).to_pylist()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a disturbed run compares."""

    num_rows: int
    num_doubles: int
    """Rows whose image has one already."""
    rows_equal: bool
    """All columns but times."""
    report_equal: bool
    """``summary.json`` without ``run`` and ``timings``, and the report's tables, to the byte."""
    is_clean: bool
    """A file of rows for each shard and no more, and a ``_SUCCESS`` that tells the same counts."""

    def problems(self, num_inputs: int) -> list[str]:
        """What is wrong, in words."""
        said = {
            f"{self.num_rows} rows of {num_inputs}": self.num_rows == num_inputs,
            f"{self.num_doubles} doubles": not self.num_doubles,
            "rows differ": self.rows_equal,
            "report differs": self.report_equal,
            "files are left over": self.is_clean,
        }
        return [text for text, is_right in said.items() if not is_right]


def read_result(output: str) -> Result:
    """What a run left behind."""
    uri = storage.normalise(output)
    return Result(
        table=read_results(uri).sort_by("row_id"),
        summary=summary_of(uri),
        csv_files=csv_files_of(uri),
        success=success_of(uri),
        num_data_files=sum(1 for _ in storage.list_objects(storage.join(uri, "data"))),
    )


def judge(found: Result, expected: Result, names: Collection[str]) -> Verdict:
    """Compare a run with the undisturbed one.

    Args:
        found: of the disturbed run.
        expected: of the undisturbed one.
        names: of the inputs.
    """
    rows = found.rows
    ids = Counter(row["image_id"] for row in rows)
    return Verdict(
        num_rows=len(ids.keys() & set(names)),
        num_doubles=len(rows) - len(ids),
        rows_equal=rows == expected.rows,
        report_equal=(found.summary, found.csv_files) == (expected.summary, expected.csv_files),
        is_clean=(found.num_data_files, found.success) == (expected.num_data_files, expected.success),
    )


def with_crashed(refused: Result, found: Result, poison: Collection[str], output: str) -> Result:
    """What a run with deadly images must give: the undisturbed run in which just these could not be decoded, with their
    rows as they are in the disturbed run, if those are as such rows must be.

    Args:
        refused: of the undisturbed run that left the images out.
        found: of the disturbed run.
        poison: names of the images.
        output: of the disturbed run; its plan names the classes.
    """
    crashed = {row["image_id"]: row for row in found.table.to_pylist() if is_crashed(row, poison)}
    rows = [crashed.get(row["image_id"], row) for row in refused.table.to_pylist()]
    table = pa.Table.from_pylist(rows, schema=refused.table.schema)
    return replace(refused, table=table, **report_of(table, output))


def is_crashed(row: Row, poison: Collection[str]) -> bool:
    """Whether a row is that of a deadly image, with nothing in it but names and the reason."""
    said = {"status": "crashed", "error": row["error"]}
    told = {name: value for name, value in row.items() if value and name not in (*IDENTITY, *TIMES)}
    return row["image_id"] in poison and told == said | UNTOUCHED and bool(CRASHED.fullmatch(row["error"]))


def report_of(table: pa.Table, output: str) -> dict[str, Any]:
    """The parts of the report that rows give."""
    plan = load_plan(storage.normalise(output))
    summary = Summary.of(table, task=plan.task, class_names=plan.classes)
    errors = [error_of(row) for row in select_failed(table)]
    return {
        "summary": json.loads(json.dumps(image_block(summary))),
        "csv_files": {
            "per_class.csv": per_class_csv(summary),
            "errors.csv": errors_csv(errors),
            "review.csv": review_csv(summary),
        },
    }


def select_failed(table: pa.Table) -> Sequence[Row]:
    """Rows without an answer."""
    return [row for row in table.to_pylist() if row["status"] != "ok"]
