"""A run whose shards are all committed, and its rows, shard by shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.export.native_source import native_bytes
from inference_core.stats.summary import Summary
from jobs.listing import Listing
from jobs.plan import Plan

READ_AHEAD = 8
"""Files of rows in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """What is made at the end of a run is made of this."""

    output: str
    """Folder or prefix."""
    plan: Plan
    listing: Listing
    data_paths: Sequence[str]
    """The file of rows of each shard, below the output, in the order of shards."""
    summary: Summary

    def uri_of(self, path: str) -> str:
        """Where something below the output is."""
        return storage.join(self.output, *path.split("/"))

    def read_data(self, shard_ids: Sequence[int]) -> Iterator[bytes]:
        """The files of rows of shards, read ahead of what is done with them.

        Raises:
            StorageError: one cannot be read.
        """
        uris = [self.uri_of(self.data_paths[shard_id]) for shard_id in shard_ids]
        for outcome in storage.read_many(uris, concurrency=READ_AHEAD):
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome


def read_rows(data: bytes, *, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a shard's file, in one piece."""
    return pq.ParquetFile(native_bytes(data)).read(columns=None if columns is None else list(columns)).combine_chunks()
