"""Read the rows of a run, finished or not: those that its commit records vouch for, and no others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import JobError
from jobs.commits import CommitLog


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedRows:
    """The rows of one shard."""

    shard_id: int
    rows: pa.Table
    """In the order of ``row_id``."""


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


def iterate_results(
    output: str, *, columns: Sequence[str] | None = None, skip: Collection[int] = ()
) -> Iterator[CommittedRows]:
    """The rows of each shard that is committed when this is called, in the order of shards.

    While a run goes on, call it again with the shards that are known by then.

    Args:
        output: the run's folder or prefix.
        columns: to read; None for all.
        skip: shards that are known.

    Raises:
        JobError: a record or its file is gone or damaged.
    """
    uri = storage.normalise(output)
    log = CommitLog(uri)
    for record in log.read_many(sorted(log.committed().difference(skip))):
        with storage.open_for_read(storage.join(uri, *record.data.path.split("/"))) as file:
            rows = pq.read_table(file, columns=None if columns is None else list(columns))
        yield CommittedRows(shard_id=record.shard_id, rows=rows)
