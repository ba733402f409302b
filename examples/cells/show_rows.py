"""Print the first rows of a finished run and how many there are.

python examples/cells/show_rows.py OUT --count 8
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

COLUMNS = ("image_id", "status", "format", "height", "width", "score", "foreground_frac", "mask_path", "error")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read OUT/data and print some of its columns."""
    parser = argparse.ArgumentParser(description="Print the first rows of a finished run.")
    parser.add_argument("run", type=Path, help="folder that a run wrote (holds data)")
    parser.add_argument("--count", type=int, default=8, help="rows to print (default 8)")
    options = parser.parse_args(arguments)
    rows = pq.read_table(options.run / "data", columns=["row_id", *COLUMNS]).sort_by("row_id")
    table = Table(*COLUMNS, title=f"{min(options.count, rows.num_rows)} of {rows.num_rows} rows")
    for row in rows.slice(0, options.count).to_pylist():
        table.add_row(*(show(row[name]) for name in COLUMNS))
    Console().print(table)
    return 0


def show(value: str | float | None) -> str:
    """A cell's text; nothing for null."""
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
