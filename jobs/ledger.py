"""What all commit records of a run say together, folded one by one: the records themselves are never held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inference_core.errors import JobError
from inference_core.stats.summary import Summary
from jobs.commits import CommitRecord, read_summary
from jobs.peaks import PeakFold
from jobs.plan import Plan
from jobs.report.facts import ErrorRow
from jobs.shards import Shards


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A whole run."""

    summary: Summary
    """Of all rows, merged in shard order."""
    errors: tuple[ErrorRow, ...]
    """Every row without result, in shard order."""
    data_bytes: Mapping[str, int]
    """Size of each file of rows that counts, by its path below the output."""
    engines: tuple[str, ...]
    """What ran the model, sorted."""
    num_reused: int
    """Rows whose answers earlier runs gave."""
    num_duplicates: int
    """Rows that took their answer from an equal image of their shard."""
    spans_s: tuple[tuple[float, float], ...]
    """When each shard's attempt began and when it committed, seconds since 1970."""
    workers: PeakFold
    """What the workers had in use."""


def fold_records(plan: Plan, shards: Shards, records: Iterable[CommitRecord]) -> Ledger:
    """Fold a run's records.

    Args:
        plan: the run's.
        shards: how its rows are cut.
        records: of all shards, in their order, so that every finishing gives the same bits.

    Raises:
        JobError: a record is of another run, or its rows are not those that the plan gives to its shard.
    """
    summary = Summary.empty(task=plan.task, class_names=plan.classes)
    errors: list[ErrorRow] = []
    data_bytes: dict[str, int] = {}
    engines: set[str] = set()
    num_reused = num_duplicates = 0
    spans_s: list[tuple[float, float]] = []
    workers = PeakFold()
    for record in records:
        check_run(record, run_id=plan.run_id)
        check_rows(record, num_rows=len(shards.rows_of(record.shard_id)))
        summary = summary.merge(read_summary(record, class_names=plan.classes))
        errors += record.errors
        data_bytes[record.data.path] = record.data.size_bytes
        engines.update({record.engine} - {""})
        num_reused += record.num_reused
        num_duplicates += record.num_duplicates
        spans_s.append((record.started_s, record.started_s + record.wall_s))
        workers.add(record.workers)
    return Ledger(
        summary=summary,
        errors=tuple(errors),
        data_bytes=data_bytes,
        engines=tuple(sorted(engines)),
        num_reused=num_reused,
        num_duplicates=num_duplicates,
        spans_s=tuple(spans_s),
        workers=workers,
    )


def check_run(record: CommitRecord, *, run_id: str) -> None:
    """Raise JobError unless a record is of this run."""
    if record.run_id != run_id:
        raise JobError(
            f"shard {record.shard_id} must be committed by run {run_id}, got a record of run {record.run_id}, "
            "left by a "
            "worker of a run that was cleared away; delete the record and run the same command again"
        )


def check_rows(record: CommitRecord, *, num_rows: int) -> None:
    """Raise JobError unless a record accounts for exactly the planned rows of its shard."""
    counted = sum(record.status_counts.values())
    if not counted == record.num_rows == num_rows:
        raise JobError(
            f"shard {record.shard_id} must account for {num_rows} rows, got {record.num_rows} rows and {counted} by "
            "status; keep the output and report this as a bug"
        )
