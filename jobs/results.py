"""The rows of a run as one table; see ``iterate_results`` for one shard at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from inference_core.errors import JobError
from inference_core.export.committed_rows import CommittedRows, iterate_results

__all__ = ["CommittedRows", "iterate_results", "read_results"]


def read_results(output: str, *, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows that are committed by now, ordered by ``row_id``; see docs/output-schema.md for the columns.

    Args:
        output: the run's folder or prefix.
        columns: to read; None for all.

    Raises:
        JobError: no shard is committed yet, or a file is gone.

    Cost: holds them all; ``iterate_results`` holds one shard at a time.
    """
    tables = [found.rows for found in iterate_results(output, columns=columns)]
    if not tables:
        raise JobError(f"{output} must have a committed shard to be read, got none; wait for the first, or run the job")
    return pa.concat_tables(tables)
