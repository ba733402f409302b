"""Run a job from settings to report. The same call again goes on where the last one was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

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
from jobs.headstart import can_start_ahead, start_ahead
from jobs.plan import MANIFEST_FILE, Plan, find_plan, make_plan
from jobs.pools import Pools
from jobs.progress import RunProgress
from jobs.resources import PoolChoice, available_cpus, choose_pools
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
    state = find_state(config.output, found, is_new=False) if found else None
    if state is None or state.todo:
        plan = execute(config, package, state, show=show, started_s=started_s)
    else:
        with show(state):
            plan = state.plan
    return finalize(config.output, plan)


def find_state(output: str, plan: Plan, *, is_new: bool) -> RunState:
    """What is committed already and what is left."""
    log = CommitLog(output)
    done = log.committed()
    failed = sum(record.num_rows - record.status_counts["ok"] for record in log.read_many(sorted(done)))
    return RunState(
        plan=plan,
        is_new=is_new,
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
    # Ray's processes take seconds to start; this one tries the model and lists the input meanwhile, and then its
    # children commit the first shards until the first of Ray's actors does.
    with ThreadPoolExecutor(1, thread_name_prefix="plan") as executor, ExitStack() as head_start:
        getting_ready = executor.submit(get_ready, config, package, state, head_start=head_start)
        from jobs.runtime import ray_session

        with ray_session(config.execution) as resources:
            ready = getting_ready.result()
            choice = choose_pools(resources, config.execution, num_shards=len(ready.todo))
            note_attempt(config.output, attempt_record(choice, resources=resources, started_s=started_s))
            with show(ready) as progress:
                seen = SeenShards(config.output, ready.todo, progress)
                seen.look()
                receipts = start_pipeline(config, package, ready.plan, pools=choice.pools, todo=seen.left())
                for batch in receipts:
                    head_start.close()
                    seen.add(batch)
                head_start.close()
                seen.look()
    return ready.plan


def get_ready(config: JobConfig, package: ModelPackage, state: RunState | None, *, head_start: ExitStack) -> RunState:
    """Try the model, make the plan where there is none, and let children begin.

    Args:
        config: the settings.
        package: the model.
        state: what an earlier command left; None where there is no plan yet.
        head_start: ends the children's work when it is closed.

    Raises:
        ModelError: the model does not work.
    """
    check_package(package)
    if state is None:
        plan = make_plan(config, package)
        state = RunState(plan=plan, is_new=True, todo=range(len(plan.shards)), rows_done=0, rows_failed=0)
    if can_start_ahead(config.execution):
        settings = stage_settings(config, package, state.plan)
        num_processes = min(config.execution.actors or available_cpus(config.execution), len(state.todo))
        head_start.enter_context(start_ahead(settings, state.todo, num_processes=num_processes))
    return state


def attempt_record(choice: PoolChoice, *, resources: Mapping[str, float], started_s: float) -> AttemptRecord:
    """What is kept of this command."""
    return AttemptRecord(
        started_s=started_s,
        layout=choice.pools.layout,
        layout_reason=choice.reason,
        actors=choice.pools.actors,
        num_cores=int(resources["CPU"]),
        versions=environment_versions(),
    )


def start_pipeline(
    config: JobConfig, package: ModelPackage, plan: Plan, *, pools: Pools, todo: Sequence[int]
) -> Iterator[pa.Table]:
    """Receipts of shards as the pipeline commits them; none where nothing is to do."""
    if not todo:
        return iter(())
    from jobs.pipeline import build_pipeline

    rows_per_shard = max(rows for _, rows in plan.shard_runs)
    settings = stage_settings(config, package, plan)
    return iterate(build_pipeline(todo, settings, pools=pools, rows_per_shard=rows_per_shard))


class SeenShards:
    """Which shards are known to be committed, each shown once.

    Args:
        output: the run's folder or prefix.
        todo: shards that were not committed when the command began.
        progress: told of each shard.
    """

    def __init__(self, output: str, todo: Sequence[int], progress: RunProgress) -> None:
        self._log = CommitLog(output)
        self._todo = todo
        self._seen: set[int] = set()
        self._progress = progress

    def add(self, receipts: pa.Table) -> None:
        """Take note of shards that the pipeline committed."""
        for receipt in receipts.to_pylist():
            self._show(receipt["shard_id"], num_rows=receipt["num_rows"], num_ok=receipt["num_ok"])

    def look(self) -> None:
        """Take note of what others committed."""
        found = sorted(self._log.committed().intersection(self._todo) - self._seen)
        for record in self._log.read_many(found):
            self._show(record.shard_id, num_rows=record.num_rows, num_ok=record.status_counts["ok"])

    def left(self) -> list[int]:
        """Shards not known to be committed; last those that whoever had a head start will come to next."""
        left = [shard_id for shard_id in self._todo if shard_id not in self._seen]
        next_of_others = min(len(self._seen), len(left))
        return left[next_of_others:] + left[:next_of_others]

    def _show(self, shard_id: int, *, num_rows: int, num_ok: int) -> None:
        if shard_id not in self._seen:
            self._seen.add(shard_id)
            self._progress.advance(num_rows=num_rows, num_failed=num_rows - num_ok)


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
