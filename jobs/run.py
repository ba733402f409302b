"""Run a job from settings to report. The same call again goes on where the last one was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from inference_core import storage
from inference_core.errors import JobError
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_runner, check_runner
from inference_core.provenance import environment_versions
from jobs.attempts import AttemptRecord, note_attempt
from jobs.commits import CommitLog
from jobs.config import JobConfig
from jobs.finalize import Outcome, finalize
from jobs.plan import MANIFEST_FILE, Plan, find_plan, make_plan
from jobs.progress import RunProgress

if TYPE_CHECKING:
    from jobs.runtime import RaySession
    from jobs.stages import StageSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What a command finds when it begins."""

    plan: Plan
    is_new: bool
    """Whether this command made the plan."""
    todo: Sequence[int]
    """Shards that are not committed."""
    rows_done: int
    rows_failed: int
    """Of the rows done, the ones without result."""


ShowState = Callable[[RunState], RunProgress]
"""Called once when the plan is known; gives what shows the progress."""


def run(config: JobConfig, *, show: ShowState) -> Outcome:
    """Run, or resume, a job.

    Args:
        config: checked and normalised settings.
        show: gives the progress for what is found.

    Returns:
        The finished run.

    Raises:
        ConfigError: a setting, the package, the input or the output is wrong; no worker has started.
        ModelError: the model does not load or does not work; no worker has started.
        JobError: the run stopped; what is committed stays and the same call goes on.
    """
    started_s = time.time()
    package = load_package(config.model)
    found = find_plan(config, package)
    state = find_state(config.output, found) if found else None
    if state is None or state.todo:
        plan = execute(config, package, state, show=show, started_s=started_s)
    else:
        with show(state):
            plan = state.plan
    return finalize(config.output, plan)


def find_state(output: str, plan: Plan) -> RunState:
    """What an earlier command did and what is left."""
    log = CommitLog(output)
    done = log.committed()
    failed = sum(record.num_rows - record.status_counts["ok"] for record in log.read_many(sorted(done)))
    return RunState(
        plan=plan,
        is_new=False,
        todo=[shard_id for shard_id in range(len(plan.shards)) if shard_id not in done],
        rows_done=sum(len(plan.shards.rows_of(shard_id)) for shard_id in done),
        rows_failed=failed,
    )


def execute(
    config: JobConfig, package: ModelPackage, state: RunState | None, *, show: ShowState, started_s: float
) -> Plan:
    """Commit the shards that are left.

    Args:
        config: the settings.
        package: the model.
        state: what an earlier command left; None where there is no plan yet.
        show: gives the progress.
        started_s: when the command began, seconds since 1970.

    Raises:
        ModelError: the model does not work.
        JobError: the pipeline stopped.
    """
    # Ray's processes take seconds to start; this one lists the input and tries the model meanwhile.
    with ThreadPoolExecutor(1, thread_name_prefix="plan") as executor:
        getting_ready = executor.submit(get_ready, config, package, state)
        from jobs.runtime import ray_session, warm_up_workers

        with ray_session(config.execution) as session:
            warm_up_workers(session, model_format=package.spec.format)
            ready = getting_ready.result()
            with show(ready) as progress:
                commit_shards(config, package, ready, session=session, progress=progress, started_s=started_s)
    return ready.plan


def get_ready(config: JobConfig, package: ModelPackage, state: RunState | None) -> RunState:
    """Try the model and make the plan where there is none.

    Raises:
        ModelError: the model does not work.
    """
    check_package(package)
    if state is not None:
        return state
    plan = make_plan(config, package)
    return RunState(plan=plan, is_new=True, todo=range(len(plan.shards)), rows_done=0, rows_failed=0)


def commit_shards(
    config: JobConfig,
    package: ModelPackage,
    state: RunState,
    *,
    session: RaySession,
    progress: RunProgress,
    started_s: float,
) -> None:
    """Run the pipeline over the shards that are left."""
    from jobs.pipeline import build_pipeline
    from jobs.resources import choose_pools

    choice = choose_pools(session.resources, config.execution, num_shards=len(state.todo))
    note_attempt(
        config.output,
        AttemptRecord(
            started_s=started_s,
            layout=choice.pools.layout,
            layout_reason=choice.reason,
            actors=choice.pools.actors,
            num_cores=int(session.resources["CPU"]),
            versions=environment_versions(),
        ),
    )
    receipts = build_pipeline(
        state.todo,
        stage_settings(config, package, state.plan),
        pools=choice.pools,
        rows_per_shard=max(rows for _, rows in state.plan.shard_runs),
    )
    for batch in iterate(receipts):
        num_rows, num_ok = sum(batch["num_rows"].to_pylist()), sum(batch["num_ok"].to_pylist())
        progress.advance(num_rows=num_rows, num_failed=num_rows - num_ok)


def check_package(package: ModelPackage) -> None:
    """Load the model on this machine's CPU and run a blank image, before any worker is asked to.

    Raises:
        ModelError: it does not load or does not work.
    """
    check_runner(package, build_runner(package, device="cpu", precision="fp32", batch_size=1, num_threads=1))


def iterate(receipts: object) -> Iterator[pa.Table]:
    """Receipts as shards are committed, with Ray's errors translated."""
    from ray.data import Dataset
    from ray.data.exceptions import ExecutionTimeoutError, SystemException
    from ray.exceptions import RayError

    assert isinstance(receipts, Dataset), "the pipeline is a dataset"
    try:
        yield from receipts.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except (RayError, ExecutionTimeoutError, SystemException) as exc:
        raise JobError(
            f"the run stopped: {root_cause(exc)}; what is committed stays, and the same command goes on from there"
        ) from exc


def root_cause(error: BaseException) -> str:
    """The innermost message of an error that went through Ray."""
    seen = error
    while True:
        inner = getattr(seen, "cause", None) or seen.__cause__
        if not isinstance(inner, BaseException) or inner is seen:
            break
        seen = inner
    lines = [line for line in str(seen).splitlines() if line.strip()]
    return f"{type(seen).__name__}: {lines[-1].strip() if lines else ''}"


def stage_settings(config: JobConfig, package: ModelPackage, plan: Plan) -> StageSettings:
    """What the workers are told."""
    from jobs.stages import StageSettings

    execution = config.execution
    return StageSettings(
        output=config.output,
        manifest_uri=storage.join(config.output, MANIFEST_FILE),
        shards=plan.shards,
        model_uri=package.uri,
        model_digest=package.digest,
        limits=config.limits,
        writes_masks=config.results.masks == "png",
        device=execution.device,
        precision=execution.precision,
        batch_size=execution.batch_size,
        num_threads=execution.threads_per_actor or 1,
    )
