"""Run a job from settings to report. The same call again goes on where the last one was stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from inference_core import storage
from inference_core.errors import ConfigError, JobError
from inference_core.importing.findings import Findings
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_runner, check_runner, has_cuda_device
from inference_core.provenance import environment_versions
from inference_core.runner import Runner
from jobs.attempts import AttemptRecord, note_attempt
from jobs.commits import CommitLog
from jobs.config import ExecutionConfig, JobConfig
from jobs.engine_sample import works_here
from jobs.finalize import Outcome, finalize
from jobs.golden import GoldenNote, prove_golden
from jobs.headstart import can_start_ahead, start_ahead
from jobs.kept_model import find_model
from jobs.plan import Plan, find_plan, make_plan
from jobs.pools import Pools
from jobs.progress import RunProgress
from jobs.resources import PoolChoice, available_cpus, choose_pools, is_cluster_elsewhere
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
    """Rows of committed shards."""
    golden: GoldenNote | None = None
    """What became of the package's golden images; None where there is nothing left to do."""
    imported: Findings | None = None
    """What was found of a model that this command imported."""


OWN_ERROR = re.compile(r"^inference_core\.errors\.(\w+): (.+)$", re.MULTILINE)
ANY_ERROR = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Exit|Interrupt)): (.+)$", re.MULTILINE)
RAY_WRAPPERS = ("UserCodeException", "RayTaskError", "RayDataUserCodeException", "SystemException")
"""Errors of Ray that only say that another one happened."""

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
        ModelError: the model does not load, does not work or fails its golden images; no worker has started.
        JobError: the run stopped; what is committed stays and the same call goes on.
    """
    started_s = time.time()
    model = find_model(config)
    package = model.package
    found = find_plan(config, package)
    golden = None
    if found is None:
        prove = partial(prove_golden, config, package, check_package(package, config.execution))
        plan = make_plan(config, package, prove=prove)
        golden = plan.golden
    else:
        plan = found
        if CommitLog(config.output).committed() != set(range(len(found.shards))):
            golden = prove_golden(config, package, check_package(package, config.execution), found.engine_choice)
    state = replace(find_state(config.output, plan, is_new=found is None), golden=golden, imported=model.imported)
    with show(state) as progress:
        if state.todo:
            execute(config, package, state, progress=progress, started_s=started_s)
    return finalize(config.output, plan)


def find_state(output: str, plan: Plan, *, is_new: bool) -> RunState:
    """What is committed already and what is left."""
    done = CommitLog(output).committed()
    return RunState(
        plan=plan,
        is_new=is_new,
        todo=[shard_id for shard_id in range(len(plan.shards)) if shard_id not in done],
        rows_done=sum(len(plan.shards.rows_of(shard_id)) for shard_id in done),
    )


def execute(
    config: JobConfig, package: ModelPackage, state: RunState, *, progress: RunProgress, started_s: float
) -> None:
    """Commit the shards that are left.

    Args:
        config: the settings.
        package: the model, known to work.
        state: what is left.
        progress: told of each shard.
        started_s: when the command began, seconds since 1970.

    Raises:
        JobError: the pipeline stopped.
    """
    settings = stage_settings(config, package, state.plan)
    with ExitStack() as head_start:
        if can_start_ahead(config.execution):
            num_processes = min(config.execution.actors or available_cpus(config.execution), len(state.todo))
            head_start.enter_context(start_ahead(settings, state.todo, num_processes=num_processes))
        # Imported once the children are on their way: Ray Data takes most of a second.
        from jobs.runtime import cluster_nodes, ray_session

        with ray_session(config.execution) as resources:
            choice = choose_pools(resources, config.execution, num_shards=len(state.todo), nodes=cluster_nodes())
            record = attempt_record(choice, resources=resources, started_s=started_s, golden=state.golden)
            note_attempt(config.output, record)
            seen = SeenShards(config.output, state.todo, progress)
            seen.look()
            for receipts in pipeline_receipts(seen.left(), settings, pools=choice.pools):
                head_start.close()
                seen.add(receipts)
            head_start.close()
            seen.look()


def attempt_record(
    choice: PoolChoice, *, resources: Mapping[str, float], started_s: float, golden: GoldenNote | None
) -> AttemptRecord:
    """What is kept of this command."""
    return AttemptRecord(
        started_s=started_s,
        layout=choice.pools.layout,
        layout_reason=choice.reason,
        actors=choice.pools.actors,
        num_cores=int(resources["CPU"]),
        versions=environment_versions(),
        golden=golden.line if golden else "",
    )


def pipeline_receipts(shard_ids: Sequence[int], settings: StageSettings, *, pools: Pools) -> Iterator[pa.Table]:
    """Receipts of shards as the pipeline commits them; none where nothing is to do."""
    if shard_ids:
        from jobs.pipeline import build_pipeline

        yield from iterate(build_pipeline(shard_ids, settings, pools=pools))


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


def check_package(package: ModelPackage, execution: ExecutionConfig) -> Runner:
    """The model on this machine's CPU, after a blank image ran through it, before any worker is asked to load it.

    Raises:
        ConfigError: the engine does not run the format or is not installed, or the precision cannot be had.
        ModelError: the model does not load or does not work.
    """
    # Workers with GPUs infer in another precision, which this machine may not have; what is certain is checked.
    infers_here = execution.device == "cpu" or not (is_cluster_elsewhere(execution) or has_cuda_device())
    precision = execution.precision if infers_here else "auto"
    # An engine that is not known yet, or is for GPUs, cannot be tried here: the format's own is.
    engine = "default" if execution.engine in ("auto", "tensorrt") else execution.engine
    runner = build_runner(package, device="cpu", precision=precision, batch_size=1, num_threads=1, engine=engine)
    check_runner(package, runner)
    if (execution.compile or execution.cuda_graphs) and runner.engine_facts.engine != "torch":
        raise ConfigError(
            f"must be false for format {package.spec.format}, which {runner.engine_facts.engine} runs; only engine "
            "torch compiles and records CUDA graphs",
            key="execution.compile" if execution.compile else "execution.cuda_graphs",
        )
    return runner


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
    """Why a worker stopped: the last of our own errors that Ray's text holds, else the last of any, else its beginning.

    Ray keeps the chain of causes as text only.
    """
    text = str(error)
    named: list[tuple[str, str]] = OWN_ERROR.findall(text) or [
        found for found in ANY_ERROR.findall(text) if found[0] not in RAY_WRAPPERS
    ]
    if named:
        name, message = named[-1]
        return f"{name}: {message}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"


def stage_settings(config: JobConfig, package: ModelPackage, plan: Plan) -> StageSettings:
    """What the workers are told."""
    execution, chosen, batch = config.execution, plan.engine_choice, plan.batch_choice
    return StageSettings(
        output=config.output,
        run_id=plan.run_id,
        manifest_uri=storage.join(config.output, plan.manifest_file),
        shards=plan.shards,
        model_uri=package.uri,
        model_digest=package.digest,
        trusts_code=config.trust_package_code,
        limits=config.limits,
        writes_masks=config.results.masks == "png",
        device=execution.device,
        engine=chosen.engine if chosen else execution.engine,
        precision=chosen.precision if chosen else execution.precision,
        batch_size=batch.batch_size if batch else execution.fixed_batch_size,
        size_of_shape=batch.size_of_shape if batch else (),
        compiles=execution.compile,
        cuda_graphs=execution.cuda_graphs,
        num_threads=execution.threads_per_actor or 1,
        checks_golden=config.golden == "check" and (execution.compile or not works_here(execution)),
    )
