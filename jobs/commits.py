"""The commit log: one create-only record per shard. A shard is done when its record exists, and not before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference_core import storage
from inference_core.errors import JobError
from inference_core.export.committed_rows import (
    COMMITS,
    damaged_record,
    list_records,
    newest_generations,
    read_outcome,
    record_uri,
)
from inference_core.stats.summary import Summary
from inference_core.validation import Frozen
from jobs.report.facts import ErrorRow
from jobs.worker_facts import WorkerFacts

RECORD_SCHEMA = 1


class DataFile(Frozen):
    """A file of rows that a record vouches for."""

    path: str
    """Relative to the output."""
    size_bytes: int
    sha256: str


class CommitRecord(Frozen):
    """``_commits/000017.json``: all that is known of a finished shard without reading its rows."""

    schema_version: int = RECORD_SCHEMA
    run_id: str
    """The plan's; a record of another run does not count."""
    shard_id: int
    attempt: str
    """Random token of the attempt that won."""
    num_rows: int
    status_counts: Mapping[str, int]
    """Rows by status; sums to ``num_rows``."""
    data: DataFile
    num_masks: int
    num_reused: int = 0
    """Rows whose answers earlier runs gave."""
    num_duplicates: int = 0
    """Rows that took their answer from an equal image of the shard."""
    errors: tuple[ErrorRow, ...]
    summary: Mapping[str, Any]
    """The shard's Summary as JSON, without the class names, which are the plan's."""
    engine: str
    """What ran the model."""
    host: str
    started_s: float
    """Seconds since 1970 when the attempt began."""
    wall_s: float
    """How long it took."""
    workers: tuple[WorkerFacts, ...] = ()
    """What the processes that worked on it tell of themselves."""


class CommitLog:
    """The records below one output.

    Args:
        output: the run's folder or prefix.
        generation: 0 for the run itself; 1, 2, ... for a retry, whose records supersede those before it.
    """

    def __init__(self, output: str, *, generation: int = 0) -> None:
        self._output = output
        self._generation = generation

    def uri_of(self, shard_id: int) -> str:
        """Where a shard's record of this generation is or will be."""
        return record_uri(self._output, shard_id, self._generation)

    def is_committed(self, shard_id: int) -> bool:
        """Whether the shard is done."""
        return storage.exists(self.uri_of(shard_id))

    def committed(self) -> set[int]:
        """The shards that are done in this generation: one listing."""
        return {shard_id for shard_id, generation in list_records(self._output) if generation == self._generation}

    def create(self, record: CommitRecord) -> bool:
        """Commit a shard. Exactly one of several attempts gets True."""
        return storage.create(self.uri_of(record.shard_id), record.model_dump_json().encode())

    def read(self, shard_id: int) -> CommitRecord:
        """A shard's record of this generation.

        Raises:
            JobError: there is none, or it cannot be read.
        """
        return next(self._read([(shard_id, self.uri_of(shard_id))]))

    def read_own(self, shard_ids: Sequence[int]) -> Iterator[CommitRecord]:
        """The records of this generation of shards that are known to have one, in the order asked, read concurrently.

        Raises:
            JobError: one is missing or damaged.
        """
        return self._read([(shard_id, self.uri_of(shard_id)) for shard_id in shard_ids])

    def read_many(self, shard_ids: Sequence[int]) -> Iterator[CommitRecord]:
        """The record that counts of each shard, the newest one, in the order asked, read concurrently.

        Raises:
            JobError: one is missing or damaged.

        Cost: a listing.
        """
        newest = newest_generations(self._output) if shard_ids else {}
        return self._read(
            [(shard_id, record_uri(self._output, shard_id, newest.get(shard_id, 0))) for shard_id in shard_ids]
        )

    def _read(self, wanted: Sequence[tuple[int, str]]) -> Iterator[CommitRecord]:
        outcomes = storage.read_many(uri for _, uri in wanted)
        for (shard_id, uri), outcome in zip(wanted, outcomes, strict=True):
            yield parse_record(read_outcome(outcome, uri=uri), uri=uri, shard_id=shard_id)


def parse_record(data: bytes, *, uri: str, shard_id: int) -> CommitRecord:
    """The record of a shard from its bytes.

    Raises:
        JobError: they are no record, or that of another shard.
    """
    try:
        record = CommitRecord.model_validate(json.loads(data))
        if record.shard_id != shard_id:
            raise ValueError(f"it is of shard {record.shard_id}")
        return record
    except ValueError as exc:
        raise damaged_record(data, uri=uri, reason=str(exc).splitlines()[0]) from exc


def write_summary(summary: Summary) -> dict[str, Any]:
    """A summary as its record keeps it."""
    return {key: value for key, value in summary.to_json().items() if key != "class_names"}


def read_summary(record: CommitRecord, *, class_names: Sequence[str]) -> Summary:
    """The summary that a record keeps.

    Raises:
        JobError: it is damaged.
    """
    try:
        return Summary.from_json({**record.summary, "class_names": list(class_names)})
    except ValueError as exc:
        raise JobError(
            f"{COMMITS}/{record.shard_id:06d}.json must hold a summary, got a damaged one ({exc}); delete the "
            "record and run "
            "the same command again: its shard is done anew"
        ) from exc
