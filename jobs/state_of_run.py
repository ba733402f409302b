"""How a run stands, running or dead, told from its output alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heappush, heappushpop
from typing import Literal

from pydantic import ValidationError

from inference_core import storage
from inference_core.errors import MissingObjectError
from jobs.attempts import read_attempts
from jobs.commits import CommitLog, CommitRecord
from jobs.finalize import REPORT, SUCCESS
from jobs.lease import BEAT_INTERVAL_S, LEASE_FILE, Lease, is_dead, is_living_here
from jobs.listing import Listing, read_listing, read_stored_parts
from jobs.plan import load_plan
from jobs.retry_plan import read_retries, shards_left

LAST_COMMITS = 64
"""The rate is that of so many commits."""
LISTEN_S = 1.5 * BEAT_INTERVAL_S
"""A command on another machine that gives no sign for so long is taken for dead."""

Phase = Literal["starting", "working", "stopped", "committed", "finished", "retrying", "retry_stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRetry:
    """A retry of failed rows that is not done."""

    statuses: tuple[str, ...]
    """Of the rows that are done again."""
    num_rows: int
    """Images that are done again."""
    num_left: int
    """Of them, those that are not committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How a run stands."""

    run_id: str
    model_name: str
    phase: Phase
    """``starting``: a command works on it and nothing is committed yet; ``working``: one commits; ``stopped``: none
    lives; ``committed``: likewise, and only the report is missing; ``finished``; ``retrying``, ``retry_stopped``:
    failed rows of a finished run are done again, by a command that lives or that is gone."""
    num_listed: int
    """Images listed so far."""
    is_listed_whole: bool
    num_shards: int
    """Listed so far."""
    num_committed: int
    """Shards."""
    num_done: int
    """Images in them."""
    status_counts: Mapping[str, int]
    """Of these images."""
    images_per_s: float | None
    """Over the last commits; None before the second."""
    eta_s: float | None
    """Until all that is listed is done, at that rate; None where nobody works."""
    last_commit_age_s: float | None
    num_attempts: int
    last_attempt_age_s: float | None
    """Since the last command began; None where none got so far."""
    holder: str | None
    """Which command works on it: process, machine and since when; None for none."""
    retry: OpenRetry | None
    """Of a finished run."""
    next_step: str
    """What to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the records say together."""

    num_committed: int
    num_rows: int
    status_counts: Mapping[str, int]
    last: tuple[tuple[float, int], ...]
    """When each of the last commits was made, seconds since 1970, and its rows; oldest first."""

    @property
    def images_per_s(self) -> float | None:
        """Rate over the last commits."""
        if len(self.last) < 2 or self.last[-1][0] <= self.last[0][0]:
            return None
        return sum(rows for _, rows in self.last[1:]) / (self.last[-1][0] - self.last[0][0])


def read_status(output: str, *, now_s: float | None = None) -> RunStatus:
    """How the run at an output stands.

    Args:
        output: the run's folder or prefix.
        now_s: seconds since 1970; None for the clock's.

    Raises:
        ConfigError: there is no run.
        JobError: a record is damaged.

    Cost: reads every commit record, one at a time; waits some seconds for a sign of a command on another machine.
    """
    uri = storage.normalise(output)
    plan = load_plan(uri)
    now = time.time() if now_s is None else now_s
    log = CommitLog(uri)
    progress = fold_progress(log.read_many(sorted(log.committed())))
    listing = read_listing(uri) or read_stored_parts(uri)[0]
    attempts = read_attempts(uri)
    holder = find_holder(uri)
    is_finished = storage.exists(storage.join(uri, SUCCESS))
    retry = find_retry(uri) if is_finished else None
    phase = phase_of(
        listing, progress, is_finished=is_finished, is_held=holder is not None, is_retried=retry is not None
    )
    rate = progress.images_per_s
    return RunStatus(
        run_id=plan.run_id,
        model_name=plan.model_name,
        phase=phase,
        num_listed=listing.num_rows,
        is_listed_whole=listing.is_whole,
        num_shards=len(listing.shards),
        num_committed=progress.num_committed,
        num_done=progress.num_rows,
        status_counts=progress.status_counts,
        images_per_s=rate,
        eta_s=(listing.num_rows - progress.num_rows) / rate if rate and phase == "working" else None,
        last_commit_age_s=now - progress.last[-1][0] if progress.last else None,
        num_attempts=len(attempts),
        last_attempt_age_s=now - max(one.started_s for one in attempts) if attempts else None,
        holder=str(holder) if holder is not None else None,
        retry=retry,
        next_step=next_step(phase, uri, retry),
    )


def fold_progress(records: Iterable[CommitRecord]) -> Progress:
    """Fold the records of a run; of all but the last commits only sums are kept."""
    counts: Counter[str] = Counter()
    last: list[tuple[float, int]] = []
    num_committed = num_rows = 0
    for record in records:
        num_committed += 1
        num_rows += record.num_rows
        counts.update(record.status_counts)
        commit = (record.started_s + record.wall_s, record.num_rows)
        if len(last) < LAST_COMMITS:
            heappush(last, commit)
        else:
            heappushpop(last, commit)
    return Progress(
        num_committed=num_committed,
        num_rows=num_rows,
        status_counts={status: count for status, count in counts.items() if count},
        last=tuple(sorted(last)),
    )


def find_holder(output: str) -> Lease | None:
    """The command that works on a run; None where none does, or its process is dead. Changes nothing."""
    found = see_lease(output)
    if found is None or is_dead(found):
        return None
    if is_living_here(found):
        return found
    time.sleep(LISTEN_S)
    later = see_lease(output)
    return later if later is not None and later != found else None


def see_lease(output: str) -> Lease | None:
    """The lease as it is stored; None for none."""
    try:
        return Lease.model_validate_json(storage.read_bytes(storage.join(output, LEASE_FILE)))
    except (MissingObjectError, ValidationError):
        return None


def find_retry(output: str) -> OpenRetry | None:
    """The retry that is not done; None where there is none."""
    for plan in read_retries(output)[-1:]:
        left = shards_left(output, plan)
        if left:
            num_left = sum(len(plan.selected[shard_id]) for shard_id in left)
            return OpenRetry(statuses=plan.statuses, num_rows=plan.num_rows, num_left=num_left)
    return None


def phase_of(
    listing: Listing, progress: Progress, *, is_finished: bool, is_held: bool, is_retried: bool = False
) -> Phase:
    """Where a run stands.

    Args:
        listing: what is listed so far.
        progress: what is committed.
        is_finished: whether its report is written.
        is_held: whether a command works on it.
        is_retried: whether a retry of it is not done.
    """
    if is_retried:
        return "retrying" if is_held else "retry_stopped"
    if is_held:
        return "working" if progress.num_committed else "starting"
    if is_finished:
        return "finished"
    return "committed" if listing.is_whole and progress.num_committed == len(listing.shards) else "stopped"


def next_step(phase: Phase, output: str, retry: OpenRetry | None = None) -> str:
    """What to do."""
    if phase == "retry_stopped" and retry is not None:
        return f"millrace retry {output} --status {','.join(retry.statuses)}: it goes on from what is committed"
    if phase == "finished":
        return f"nothing: read {storage.join(output, REPORT, 'report.html')}"
    if phase == "committed":
        return f"millrace finalize {output}: only the report is missing"
    if phase == "stopped":
        return "give the same command again: it goes on from what is committed"
    if phase == "starting":
        return "wait for the first commit"
    return "wait; what is committed can be read already (jobs.results.read_results)"
