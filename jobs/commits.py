"""The commit log: one create-only record per shard. A shard is done when its record exists, and not before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference_core import storage
from inference_core.errors import JobError, MissingObjectError
from inference_core.stats.summary import Summary
from inference_core.validation import Frozen
from jobs.report.facts import ErrorRow

COMMITS = "_commits"
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


class CommitLog:
    """The records below one output.

    Args:
        output: the run's folder or prefix.
    """

    def __init__(self, output: str) -> None:
        self._folder = storage.join(output, COMMITS)

    def uri_of(self, shard_id: int) -> str:
        """Where a shard's record is or will be."""
        return storage.join(self._folder, f"{shard_id:06d}.json")

    def is_committed(self, shard_id: int) -> bool:
        """Whether the shard is done."""
        return storage.exists(self.uri_of(shard_id))

    def committed(self) -> set[int]:
        """The shards that are done: one listing."""
        names = (found.path for found in storage.list_objects(self._folder, recursive=False))
        return {int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdigit()}

    def create(self, record: CommitRecord) -> bool:
        """Commit a shard. Exactly one of several attempts gets True."""
        return storage.create(self.uri_of(record.shard_id), record.model_dump_json().encode())

    def read(self, shard_id: int) -> CommitRecord:
        """A shard's record.

        Raises:
            JobError: there is none, or it cannot be read.
        """
        return next(self.read_many([shard_id]))

    def read_many(self, shard_ids: Sequence[int]) -> Iterator[CommitRecord]:
        """Records in the order asked, read concurrently.

        Raises:
            JobError: one is missing or damaged.
        """
        outcomes = storage.read_many(self.uri_of(shard_id) for shard_id in shard_ids)
        for shard_id, outcome in zip(shard_ids, outcomes, strict=True):
            uri = self.uri_of(shard_id)
            if isinstance(outcome, MissingObjectError):
                raise JobError(f"{uri} must exist, got nothing there; run the same command again to fill the gap")
            if isinstance(outcome, Exception):
                raise outcome
            yield parse_record(outcome, uri=uri, shard_id=shard_id)


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
        raise JobError(
            f"{uri} must be a commit record, got {len(data)} bytes that are none ({str(exc).splitlines()[0]}); "
            "delete it and run the same command again: its shard is done anew"
        ) from exc


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
