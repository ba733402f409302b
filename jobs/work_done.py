"""Where the time of a finished run's workers went, from its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inference_core.stats.summary import Summary
from inference_core.stats.timings import STAGES, Timings
from jobs.attempts import AttemptRecord, work_of_attempts
from jobs.bottleneck import STAGES_OF_POOL, WRITE, Bottleneck, Workers, find_bottleneck


def found_bottleneck(
    summary: Summary, spans_s: Sequence[tuple[float, float]], attempts: Sequence[AttemptRecord]
) -> Bottleneck | None:
    """What held a run back; None where no attempt was noted.

    Args:
        summary: of all rows.
        spans_s: beginning and end of the attempt at each shard, seconds since 1970.
        attempts: first to last; the layout is that of the last.
    """
    if not attempts:
        return None
    worked = work_of_attempts(attempts, spans_s)
    wall_s = sum(worked.values())
    last = attempts[-1]
    return find_bottleneck(
        seconds_by_stage(summary.timings, spans_s, layout=last.layout),
        workers_of(last),
        pool_s=seconds_by_pool(attempts, worked, layout=last.layout),
        images_per_s=summary.num_rows / wall_s if wall_s else 0.0,
        levers=last.levers,
    )


def seconds_by_stage(timings: Timings, spans_s: Sequence[tuple[float, float]], *, layout: str) -> dict[str, float]:
    """Seconds of all workers together in each stage.

    Writing is not timed image by image: it is what an attempt at a shard took beyond the verbs in it. In the whole
    layout these are all, in the split layout the last.
    """
    spent_s = {stage: timings.stages[stage].moments.sum / 1000 for stage in STAGES}
    verbs_s = sum(spent_s.values()) if layout == "whole" else spent_s["finish"]
    attempts_s = sum(end - begin for begin, end in spans_s)
    return {**spent_s, WRITE: max(0.0, attempts_s - verbs_s)}


def seconds_by_pool(
    attempts: Sequence[AttemptRecord], worked_s: Mapping[float, float], *, layout: str
) -> dict[str, float]:
    """Seconds that each pool had over all attempts: its workers times the time."""
    return {
        pool: sum(workers_of(one).slots(pool) * worked_s[one.started_s] for one in attempts)
        for pool in STAGES_OF_POOL[layout]
    }


def workers_of(attempt: AttemptRecord) -> Workers:
    """How many worked in an attempt."""
    return Workers(
        layout=attempt.layout,
        actors=attempt.actors,
        prepare_tasks=attempt.prepare_tasks,
        commit_tasks=attempt.commit_tasks,
        num_cores=attempt.num_cores,
        num_gpus=attempt.num_gpus,
    )
