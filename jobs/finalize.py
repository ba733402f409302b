"""End a run: check the ledger, merge statistics in shard order, write the report, remove what nobody vouches for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from inference_core import storage
from inference_core.errors import JobError
from inference_core.provenance import canonical_json
from inference_core.stats.summary import Summary
from jobs.afterwards_config import VideosConfig
from jobs.annotations import write_annotations
from jobs.attempts import AttemptRecord, read_attempts, read_ends, worked_s
from jobs.commits import CommitLog
from jobs.drift_reference import drift_from, kept_reference
from jobs.finished_run import FinishedRun
from jobs.ledger import Ledger, fold_records
from jobs.listing import LISTING_FILE, Listing, read_listing
from jobs.page_sources import read_extras
from jobs.peaks import most
from jobs.plan import Plan
from jobs.report.facts import RunFacts
from jobs.report.files import build_report_files
from jobs.run_cost import find_cost
from jobs.stage_progress import Stages, silent_stages
from jobs.videos.write_tables import write_video_tables
from jobs.visuals.request import VisualRequest
from jobs.visuals.write_visuals import write_visuals
from jobs.work_done import found_bottleneck

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


def finalize(
    output: str,
    plan: Plan,
    *,
    visuals: VisualRequest | None = None,
    annotations: Sequence[str] | None = None,
    videos: VideosConfig | None = None,
    stages: Stages = silent_stages,
) -> Outcome:
    """Report on a run whose shards are all committed. Can be repeated at any time.

    Args:
        output: the run's folder or prefix.
        plan: the run's.
        visuals: the images that are drawn; None draws none, and leaves what was drawn before.
        annotations: formats to write the answers in, too; None for those of the plan's settings.
        videos: how videos are summed up; None as the plan's settings say.
        stages: show how far pictures, videos and annotations are.

    Raises:
        JobError: the input is not listed to its end, a shard is missing, or the rows do not add up to the plan.
    """
    listing = read_listing(output)
    if listing is None:
        raise JobError(
            f"all of the input must be listed, got {output} without {LISTING_FILE}; run the same command again"
        )
    log = CommitLog(output)
    num_shards = len(listing.shards)
    missing = sorted(set(range(num_shards)) - log.committed())
    if missing:
        raise JobError(
            f"all {num_shards} shards must be committed, {len(missing)} are not (first: {missing[0]}); "
            "run the same command again"
        )
    ledger = fold_records(plan, listing.shards, log.read_many(range(num_shards)))
    facts = run_facts(output, plan, listing, ledger)
    check_balance(facts)
    found = {f"data/{entry.path}": entry for entry in storage.list_objects(storage.join(output, "data"))}
    check_files({path: entry.size_bytes for path, entry in found.items()}, ledger)
    run = FinishedRun(
        output=output, plan=plan, listing=listing, data_paths=tuple(ledger.data_bytes), summary=ledger.summary
    )
    if visuals is not None:
        write_visuals(run, visuals, stages=stages)
    write_video_tables(run, videos or VideosConfig(**plan.config.get("videos", {})), stages=stages)
    report_uri = storage.join(output, REPORT)
    formats = plan.config["results"].get("annotations", ()) if annotations is None else annotations
    extras = read_extras(output, plan, annotations=formats)
    files = build_report_files(ledger.summary, facts=facts, errors=ledger.errors, extras=extras)
    for name, content in files.items():
        storage.replace(storage.join(report_uri, name), content)
    storage.delete_many([entry.uri for path, entry in found.items() if path not in ledger.data_bytes])
    write_annotations(output, plan, formats, num_rows=listing.num_rows, stages=stages)
    storage.remove_unfinished(output)
    storage.replace(storage.join(output, SUCCESS), success_text(plan, facts))
    return Outcome(plan=plan, summary=ledger.summary, facts=facts, report_uri=report_uri)


def check_balance(facts: RunFacts) -> None:
    """Raise JobError unless every planned image ended in exactly one of ok, failed and skipped."""
    if not facts.is_balanced:
        raise JobError(
            f"planned images must be ok + failed + skipped, got {facts.num_planned} = {facts.num_ok} + "
            f"{facts.num_failed} + {facts.num_skipped}; keep the output and report this as a bug"
        )


def run_facts(output: str, plan: Plan, listing: Listing, ledger: Ledger) -> RunFacts:
    """What the report says of the run besides its statistics."""
    attempts = read_attempts(output)
    wall_s = worked_s(attempts, ledger.spans_s)
    first_s, last_s = min(begin for begin, _ in ledger.spans_s), max(end for _, end in ledger.spans_s)
    summary = ledger.summary
    num_ok = summary.status["ok"]
    reference = kept_reference(output)
    return RunFacts(
        run_id=plan.run_id,
        started=iso_time(min((attempt.started_s for attempt in attempts), default=first_s)),
        finished=iso_time(last_s),
        wall_s=wall_s,
        model_name=plan.model_name,
        model_digest=str(plan.identity["model_digest"]),
        config=plan.config,
        num_planned=listing.num_rows,
        num_ok=num_ok,
        num_failed=summary.num_rows - num_ok,
        num_skipped=0,
        num_shards=len(ledger.spans_s),
        layout=attempts[-1].layout if attempts else "",
        layout_reason=attempts[-1].layout_reason if attempts else "",
        engine="; ".join(ledger.engines),
        versions=attempts[-1].versions if attempts else {},
        images_per_s=summary.num_rows / wall_s if wall_s else 0.0,
        num_attempts=len(attempts),
        num_cores=attempts[-1].num_cores if attempts else os.cpu_count() or 1,
        num_reused=ledger.num_reused,
        num_duplicates=ledger.num_duplicates,
        golden=golden_text(plan, attempts),
        bottleneck=found_bottleneck(summary, ledger.spans_s, attempts),
        peaks=ledger.workers.peaks(driver_bytes=most(*(end.driver_peak_bytes for end in read_ends(output)))),
        cost=find_cost(attempts, ledger.spans_s, prices=plan.config.get("prices", {})),
        drift=drift_from(reference, summary) if reference else None,
    )


def golden_text(plan: Plan, attempts: Iterable[AttemptRecord]) -> str:
    """What became of the golden images before the run and before each attempt, each finding once."""
    planned = plan.golden.line if plan.golden else ""
    return "; ".join(dict.fromkeys(line for line in (planned, *(one.golden for one in attempts)) if line))


def check_files(found_bytes: Mapping[str, int], ledger: Ledger) -> None:
    """Raise JobError unless every file of rows that a record vouches for is there in its size."""
    for path, size_bytes in ledger.data_bytes.items():
        if found_bytes.get(path) != size_bytes:
            raise JobError(
                f"{path} must have {size_bytes} bytes, got {found_bytes.get(path, 'no such file')}; restore it, "
                "or delete "
                f"_commits/{path.split('-')[1]}.json and run the same command again: its shard is done anew"
            )


def success_text(plan: Plan, facts: RunFacts) -> bytes:
    """Content of the file whose presence says that the run is whole."""
    counts = {"run_id": plan.run_id, "planned": facts.num_planned, "ok": facts.num_ok, "failed": facts.num_failed}
    return (canonical_json(counts) + "\n").encode()


def iso_time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
