"""Do the failed rows of a finished run again, and replace them: after files or limits were mended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from inference_core.assignments import put, read_assignment
from inference_core.errors import ConfigError, JobError
from inference_core.models.package import ModelPackage
from inference_core.provenance import changed_keys
from inference_core.status import STATUSES, Status
from inference_core.validation import build_settings
from jobs.attempts import note_attempt, noted_end
from jobs.commits import CommitLog
from jobs.config import JobConfig
from jobs.driver import attempt_record
from jobs.explanations import asked_before, check_explain, explain_run
from jobs.finalize import Outcome, finalize
from jobs.identity import identity_of
from jobs.kept_model import model_of_run
from jobs.lease import hold_lease
from jobs.listing import Listing, check_parts, read_listing
from jobs.metrics.measured_run import measured
from jobs.plan import Plan, load_plan
from jobs.progress import RunProgress
from jobs.receipts import quarantine_receipts
from jobs.resources import choose_pools, workers_in
from jobs.retry_plan import RetryPlan, read_retries, select_rows, shards_left, store_retry
from jobs.stage_progress import Stages, silent_stages
from jobs.told_stages import stage_settings
from jobs.visuals.request import visual_request

ShowRetry = Callable[[RetryPlan, int], RunProgress]
"""Called once when it is known what is done again, with the rows of it that are left; gives what shows the progress."""


def retry(
    output: str,
    *,
    statuses: Sequence[str],
    assignments: Sequence[str],
    show: ShowRetry,
    notice: Callable[[str], None],
    stages: Stages = silent_stages,
) -> Outcome:
    """Do rows of a finished run again that have one of some statuses. The same call goes on where it was stopped.

    Args:
        output: the run's folder or prefix, normalised.
        statuses: any but ok.
        assignments: ``key.subkey=value`` of ``limits`` and ``execution``, in place of the run's.
        show: gives the progress for what is found.
        notice: told of another command that this one waits for, and where metrics are served.
        stages: show what is done behind the images.

    Raises:
        ConfigError: there is no run, its model is gone or another one since, a status or a setting is none that can be
            retried, or another retry is unfinished.
        JobError: the run is not finished, or the retry stopped; what is committed stays and the same call goes on.
    """
    started_s = time.time()
    wanted = read_statuses(statuses)
    plan = load_plan(output)
    config = asked_before(retry_config(plan, assignments, output=output))
    package = model_of_run(config, plan)
    visuals = visual_request(config, package.spec)
    check_explain(config, package)
    with hold_lease(output, waits=config.execution.when_running == "wait", say=notice):
        listing = check_finished(output)
        chosen = find_retry(output, config, listing, statuses=wanted)
        left = shards_left(output, chosen)
        num_left = sum(len(chosen.selected[shard_id]) for shard_id in left)
        with measured(config, plan, listing, todo=left, notice=notice, generation=chosen.generation) as measure:
            with measure(show(chosen, num_left)) as progress, noted_end(output, started_s=started_s):
                if left:
                    execute_retry(config, package, plan, listing, chosen, left, progress=progress, started_s=started_s)
            outcome = finalize(output, plan, visuals=visuals, videos=config.videos, stages=stages)
            explain_run(config, plan, package, say=notice, stages=stages)
            return outcome


def read_statuses(names: Sequence[str]) -> tuple[Status, ...]:
    """Statuses, checked and sorted.

    Raises:
        ConfigError: one is unknown, or ok.
    """
    failures = [status for status in STATUSES if status != "ok"]
    for name in names:
        if name not in failures:
            raise ConfigError(f"must be of {', '.join(failures)}, got {name!r}; correct it", key="--status")
    if not names:
        raise ConfigError(f"must name at least one of {', '.join(failures)}, got none", key="--status")
    return tuple(status for status in sorted(failures) if status in names)


def retry_config(plan: Plan, assignments: Sequence[str], *, output: str) -> JobConfig:
    """The run's settings with those that the retry changes.

    Raises:
        ConfigError: a setting is wrong, or would change other rows too.
    """
    data = dict(plan.config) | {"output": output}
    for assignment in assignments:
        put(data, *read_assignment(assignment, example="limits.max_pixels=400000000"))
    config = build_settings(JobConfig, data, origin="the command line")
    changes = changed_keys(plan.identity, identity_of(config, model_digest=str(plan.identity["model_digest"])))
    for key, _, _ in changes:
        if not key.startswith("limits."):
            raise ConfigError(
                "must be the run's, since all rows depend on it; a retry changes limits and execution only", key=key
            )
    return config


def check_finished(output: str) -> Listing:
    """The run's listing.

    Raises:
        JobError: shards are left.
    """
    listing = read_listing(output)
    if listing is None or CommitLog(output).committed() != set(range(len(listing.shards))):
        raise JobError(
            f"{output} must hold a finished run, got one with images left; run its command again, then retry"
        )
    check_parts(output, listing)
    return listing


def find_retry(output: str, config: JobConfig, listing: Listing, *, statuses: tuple[Status, ...]) -> RetryPlan:
    """The retry that was stopped if there is one, else a new one.

    Raises:
        ConfigError: another retry was stopped before its end.
    """
    retries = read_retries(output)
    if retries and shards_left(output, retries[-1]):
        last = retries[-1]
        if (last.statuses, last.limits) != (statuses, config.limits):
            raise ConfigError(
                f"must be {','.join(last.statuses)} with the limits of the retry that was stopped before its end, got "
                f"others; end that one first: its limits are in _retries/{last.generation:04d}.json",
                key="--status",
            )
        return last
    records = CommitLog(output).read_many(range(len(listing.shards)))
    selected = select_rows(records, listing.manifest(output), statuses=statuses)
    new = RetryPlan(generation=len(retries) + 1, statuses=statuses, limits=config.limits, selected=selected)
    if selected and not store_retry(output, new):
        raise JobError("one retry at a time must begin, got another one meanwhile; run the same command again")
    return new


def execute_retry(
    config: JobConfig,
    package: ModelPackage,
    plan: Plan,
    listing: Listing,
    chosen: RetryPlan,
    left: Sequence[int],
    *,
    progress: RunProgress,
    started_s: float,
) -> None:
    """Commit the shards of a retry, in child processes of actors: rows that failed are not to be trusted.

    Raises:
        JobError: it stopped.
    """
    from jobs.runtime import ray_session

    settings = replace(stage_settings(config, package, plan, listing), generation=chosen.generation)
    with ray_session(config.execution) as resources:
        choice = choose_pools(resources, config.execution, num_shards=len(left))
        workers = workers_in(choice.pools, resources)
        note_attempt(config.output, attempt_record(choice, workers, levers={}, started_s=started_s, golden=None))
        for table in quarantine_receipts(left, settings, pools=choice.pools):
            for receipt in table.to_pylist():
                num_rows = len(chosen.selected[receipt["shard_id"]])
                num_failed = min(num_rows, receipt["num_rows"] - receipt["num_ok"])
                progress.advance(shard_id=receipt["shard_id"], num_rows=num_rows, num_failed=num_failed)
    if shards_left(config.output, chosen):
        raise JobError("the retry stopped before its end; run the same command again")
