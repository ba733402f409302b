"""Read the rows of a run, finished or not: those that its commit records vouch for, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import JobError, MissingObjectError
from inference_core.export.native_source import native_source

if TYPE_CHECKING:
    import pandas as pd

COMMITS = "_commits"
RECORD_NAME = re.compile(r"(\d+)(?:\.retry-(\d+))?\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedRows:
    """The rows of one shard."""

    shard_id: int
    rows: pa.Table
    """In the order of ``row_id``."""

    def __repr__(self) -> str:
        return f"CommittedRows(shard_id={self.shard_id}, rows={self.rows.num_rows} x {self.rows.num_columns})"

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a data frame."""
        frame: pd.DataFrame = self.rows.to_pandas()
        return frame


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
    for shard_id, uri in committed_files(output, skip=skip):
        yield CommittedRows(shard_id=shard_id, rows=read_rows(uri, columns=columns))


def committed_files(output: str, *, skip: Collection[int] = ()) -> Iterator[tuple[int, str]]:
    """Each committed shard and the URI of the file of its rows, in the order of shards.

    Raises:
        JobError: a record is gone or damaged.
    """
    uri = storage.normalise(output)
    newest = newest_generations(uri)
    wanted = {shard_id: record_uri(uri, shard_id, newest[shard_id]) for shard_id in sorted(newest.keys() - set(skip))}
    for (shard_id, record), outcome in zip(wanted.items(), storage.read_many(wanted.values()), strict=True):
        path = data_path(read_outcome(outcome, uri=record), uri=record, shard_id=shard_id)
        yield shard_id, storage.join(uri, *path.split("/"))


def read_rows(uri: str, *, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a committed file.

    Args:
        uri: of the file.
        columns: to read; None for all.
    """
    with storage.open_for_read(uri) as file:
        return pq.read_table(native_source(file), columns=None if columns is None else list(columns))


def list_records(output: str) -> Iterator[tuple[int, int]]:
    """Shard and generation of each commit record below an output: one listing."""
    for found in storage.list_objects(storage.join(output, COMMITS), recursive=False):
        name = RECORD_NAME.fullmatch(found.path)
        if name is not None:
            yield int(name[1]), int(name[2] or 0)


def newest_generations(output: str) -> Mapping[int, int]:
    """The generation of the record that counts, by shard."""
    newest: dict[int, int] = {}
    for shard_id, generation in list_records(output):
        newest[shard_id] = max(generation, newest.get(shard_id, 0))
    return newest


def record_uri(output: str, shard_id: int, generation: int) -> str:
    """Where a shard's record of a generation is or will be."""
    retry = f".retry-{generation:04d}" if generation else ""
    return storage.join(output, COMMITS, f"{shard_id:06d}{retry}.json")


def read_outcome(outcome: storage.ReadOutcome, *, uri: str) -> bytes:
    """The bytes of a record.

    Raises:
        JobError: there is none.
        StorageError: it could not be read.
    """
    if isinstance(outcome, MissingObjectError):
        raise JobError(f"{uri} must exist, got nothing there; run the same command again to fill the gap")
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def data_path(data: bytes, *, uri: str, shard_id: int) -> str:
    """Path of the row file that a record vouches for, below the output.

    Raises:
        JobError: the bytes are no record, or that of another shard.
    """
    try:
        record = json.loads(data)
        if record["shard_id"] != shard_id:
            raise ValueError(f"it is of shard {record['shard_id']}")
        return str(record["data"]["path"])
    except (ValueError, KeyError, TypeError) as exc:
        raise damaged_record(data, uri=uri, reason=str(exc).splitlines()[0]) from exc


def damaged_record(data: bytes, *, uri: str, reason: str) -> JobError:
    """The error of bytes that are no commit record."""
    return JobError(
        f"{uri} must be a commit record, got {len(data)} bytes that are none ({reason}); "
        "delete it and run the same command again: its shard is done anew"
    )
