"""End a run: check the ledger, merge statistics in shard order, write the report, remove what nobody vouches for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from inference_core import storage
from inference_core.errors import JobError
from inference_core.provenance import canonical_json
from inference_core.stats.summary import Summary
from jobs.attempts import read_attempts, worked_s
from jobs.commits import CommitLog, CommitRecord
from jobs.plan import Plan
from jobs.report.facts import RunFacts
from jobs.report.files import build_report_files

SUCCESS = "_SUCCESS"
REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a finished run ended."""

    plan: Plan
    summary: Summary
    facts: RunFacts
    report_uri: str

    @property
    def failed_frac(self) -> float:
        """Share of the planned images that have no result."""
        return self.facts.num_failed / self.facts.num_planned


def finalize(output: str, plan: Plan) -> Outcome:
    """Report on a run whose shards are all committed. Can be repeated at any time.

    Raises:
        JobError: a shard is missing, or the rows do not add up to the plan.
    """
    log = CommitLog(output)
    missing = sorted(set(range(len(plan.shards))) - log.committed())
    if missing:
        raise JobError(
            f"all {len(plan.shards)} shards must be committed, {len(missing)} are not (first: {missing[0]}); "
            "run the same command again"
        )
    records = list(log.read_many(list(range(len(plan.shards)))))
    summary = merge_summaries(plan, records)
    facts = run_facts(output, plan, summary, records)
    check_balance(facts)
    errors = [error for record in records for error in record.errors]
    report_uri = storage.join(output, REPORT)
    for name, content in build_report_files(summary, facts=facts, errors=errors).items():
        storage.replace(storage.join(report_uri, name), content)
    delete_orphans(output, records)
    storage.replace(storage.join(output, SUCCESS), success_text(plan, facts))
    return Outcome(plan=plan, summary=summary, facts=facts, report_uri=report_uri)


def merge_summaries(plan: Plan, records: Sequence[CommitRecord]) -> Summary:
    """The run's statistics: shard after shard, so that every finishing gives the same."""
    merged = Summary.empty(task=plan.task, class_names=plan.classes)
    for record in records:
        merged = merged.merge(Summary.from_json(record.summary))
    return merged


def check_balance(facts: RunFacts) -> None:
    """Raise JobError unless every planned image ended in exactly one of ok, failed and skipped."""
    if not facts.is_balanced:
        raise JobError(
            f"planned images must be ok + failed + skipped, got {facts.num_planned} = {facts.num_ok} + "
            f"{facts.num_failed} + {facts.num_skipped}; keep the output and report this as a bug"
        )


def run_facts(output: str, plan: Plan, summary: Summary, records: Sequence[CommitRecord]) -> RunFacts:
    """What the report says of the run besides its statistics."""
    attempts = read_attempts(output)
    wall_s = worked_s(attempts, records)
    num_ok = summary.status["ok"]
    return RunFacts(
        run_id=plan.run_id,
        started=iso_time(min((attempt.started_s for attempt in attempts), default=records[0].started_s)),
        finished=iso_time(max(record.started_s + record.wall_s for record in records)),
        wall_s=wall_s,
        model_name=plan.model_name,
        model_digest=str(plan.identity["model_digest"]),
        config=plan.config,
        num_planned=plan.num_rows,
        num_ok=num_ok,
        num_failed=summary.num_rows - num_ok,
        num_skipped=0,
        num_shards=len(records),
        layout=attempts[-1].layout if attempts else "",
        layout_reason=attempts[-1].layout_reason if attempts else "",
        engine="; ".join(sorted({record.engine for record in records if record.engine})),
        versions=attempts[-1].versions if attempts else {},
        images_per_s=summary.num_rows / wall_s if wall_s else 0.0,
        num_attempts=len(attempts),
        num_cores=attempts[-1].num_cores if attempts else os.cpu_count() or 1,
    )


def delete_orphans(output: str, records: Sequence[CommitRecord]) -> None:
    """Remove row files of attempts that did not win, and what killed writers left long ago."""
    vouched = {record.data.path for record in records}
    found = storage.list_objects(storage.join(output, "data"))
    storage.delete_many([entry.uri for entry in found if f"data/{entry.path}" not in vouched])
    storage.remove_unfinished(output)


def success_text(plan: Plan, facts: RunFacts) -> bytes:
    """Content of the file whose presence says that the run is whole."""
    counts = {"run_id": plan.run_id, "planned": facts.num_planned, "ok": facts.num_ok, "failed": facts.num_failed}
    return (canonical_json(counts) + "\n").encode()


def iso_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
