"""Print the first rows of a finished run, and the images that have no result.

python examples/cells/show_rows.py OUT --count 5
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

ANSWER = ("image_id", "status", "format", "height", "width", "score", "foreground_frac", "mask_path")
FAILURE = ("image_id", "status", "error")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read OUT/data and print some of its columns."""
    parser = argparse.ArgumentParser(description="Print the first rows of a finished run.")
    parser.add_argument("run", type=Path, help="folder that a run wrote (holds data)")
    parser.add_argument("--count", type=int, default=5, help="rows to print (default 5)")
    options = parser.parse_args(arguments)
    rows = pq.read_table(options.run / "data").sort_by("row_id").to_pandas()
    show(f"first {min(options.count, len(rows))} of {len(rows)} rows", rows[list(ANSWER)].head(options.count))
    failed = rows[rows["status"] != "ok"]
    show(f"{len(failed)} rows without a result", failed[list(FAILURE)])
    return 0


def show(title: str, rows: pd.DataFrame) -> None:
    """A title and a table; the title alone where there are no rows."""
    print(title)
    if len(rows):
        print(rows.to_string(index=False, float_format="{:.4f}".format, justify="left"))
    print()


if __name__ == "__main__":
    raise SystemExit(main())
