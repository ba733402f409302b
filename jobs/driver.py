"""Run a job from settings to report. The same call again goes on where the last one was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_runner, check_runner, has_cuda_device
from inference_core.provenance import environment_versions
from inference_core.runner import Runner
from jobs.address import check_address
from jobs.ahead import begin_ahead
from jobs.annotations import check_annotations
from jobs.attempts import AttemptRecord, note_attempt, noted_end
from jobs.bottleneck import Workers
from jobs.commits import CommitLog
from jobs.config import JobConfig
from jobs.drift_reference import find_reference, keep_reference
from jobs.execution_config import ExecutionConfig
from jobs.explanations import check_explain, explain_run
from jobs.finalize import Outcome, finalize
from jobs.found_state import RunState, find_state
from jobs.golden import GoldenNote, prove_golden
from jobs.kept_model import find_model
from jobs.lease import hold_lease
from jobs.levers import find_levers
from jobs.listing import Listing, ListingFeed, check_parts, read_listing, store_listing
from jobs.metrics.measured_run import measured
from jobs.places import blamed_on, check_places
from jobs.plan import find_plan, inputs_of, make_plan, prepared_bytes
from jobs.pools import Pools
from jobs.progress import RunProgress
from jobs.receipts import pipeline_receipts, quarantine_receipts
from jobs.resources import PoolChoice, choose_pools, cluster_address, is_cluster_elsewhere, workers_in
from jobs.seen_shards import SeenShards
from jobs.shards import rows_of_later_shards
from jobs.stage_progress import Stages, silent_stages
from jobs.stage_settings import StageSettings
from jobs.suspects import note_suspects, read_suspects
from jobs.told_stages import index_answers
from jobs.visuals.request import visual_request

LISTING_PATIENCE_S = 3.0
"""How long work waits for the whole listing once its first part is there: most inputs are listed by then."""
MAX_EXECUTION_SHARDS = 2_000
"""Of one execution of Ray Data, whose driver keeps something of each; longer runs take several, one after the other."""


ShowState = Callable[[RunState], RunProgress]
"""Called once when the plan is known; gives what shows the progress."""


def drop_notice(message: str) -> None:
    """Tell nobody."""


def run(
    config: JobConfig,
    *,
    show: ShowState,
    notice: Callable[[str], None] = drop_notice,
    stages: Stages = silent_stages,
) -> Outcome:
    """Run, or resume, a job.

    Args:
        config: checked and normalised settings.
        show: gives the progress for what is found.
        notice: told of another command that this one waits for, and where metrics are served.
        stages: show what is done behind the images.

    Returns:
        The finished run.

    Raises:
        ConfigError: a setting, the package, the input or the output is wrong; no worker has started.
        ModelError: the model does not load, does not work or fails its golden images; no worker has started.
        JobError: the run stopped; what is committed stays and the same call goes on.
    """
    started_s = time.time()
    check_places(config)
    with blamed_on(""):
        model = find_model(config)
        package = model.package
        check_annotations(config.results, package)
        plan = find_plan(config, package)
        reference = find_reference(config, task=package.spec.task)
    visuals = visual_request(config, package.spec)
    check_explain(config, package)
    is_new = plan is None
    golden = None
    if plan is None:
        check_cluster(config.execution)
        prove = partial(prove_golden, config, package, check_package(package, config.execution))
        with blamed_on(""):
            plan = make_plan(config, package, prove=prove)
        golden = plan.golden
    elif not is_committed(config.output):
        golden = prove_golden(config, package, check_package(package, config.execution), plan.engine_choice)
    keep_reference(config.output, reference)
    waits = config.execution.when_running == "wait"
    with hold_lease(config.output, waits=waits, say=notice), open_listing(config, package) as feed:
        listing = feed.wait(num_known=0, patience_s=LISTING_PATIENCE_S)
        state = replace(find_state(config.output, plan, listing, is_new=is_new), golden=golden, imported=model.imported)
        with measured(config, plan, listing, todo=state.todo, notice=notice) as measure:
            with measure(show(state)) as progress, noted_end(config.output, started_s=started_s):
                if state.todo or not listing.is_whole:
                    execute(config, package, state, feed, progress=progress, started_s=started_s)
            outcome = finalize(
                config.output,
                plan,
                visuals=visuals,
                annotations=config.results.annotations,
                videos=config.videos,
                stages=stages,
            )
            explain_run(config, plan, package, say=notice, stages=stages)
            return outcome


def check_cluster(execution: ExecutionConfig) -> None:
    """Raise ConfigError where the cluster that is to do the work does not answer."""
    address = cluster_address(execution)
    if address:
        check_address(address)


def is_committed(output: str) -> bool:
    """Whether nothing is left to do."""
    listing = read_listing(output)
    return listing is not None and CommitLog(output).committed() == set(range(len(listing.shards)))


def open_listing(config: JobConfig, package: ModelPackage) -> ListingFeed:
    """The listing of a run: as it is stored where it is whole, else as it is made.

    Raises:
        JobError: a part of the stored listing is gone.
    """
    stored = read_listing(config.output)
    if stored is not None:
        check_parts(config.output, stored)
        return ListingFeed(iter([stored]))
    inputs = inputs_of(config)
    return ListingFeed(
        store_listing(
            config.output,
            inputs.list,
            behind=inputs.behind,
            rows_per_shard=config.execution.rows_per_shard,
            rows_later=rows_of_later_shards(prepared_bytes(package.spec.input)),
        )
    )


def execute(
    config: JobConfig,
    package: ModelPackage,
    state: RunState,
    feed: ListingFeed,
    *,
    progress: RunProgress,
    started_s: float,
) -> None:
    """Commit the shards that are left, those that are still to be listed too.

    Args:
        config: the settings.
        package: the model, known to work.
        state: what is left of what is listed.
        feed: lists on.
        progress: told of each shard.
        started_s: when the command began, seconds since 1970.

    Raises:
        JobError: the pipeline stopped.
        MillraceError: the listing failed; what was listed before is committed.
    """
    suspects = frozenset[int]() if state.is_new else read_suspects(config.output)
    with ExitStack() as head_start:
        ahead = begin_ahead(config, package, state, suspects=suspects, progress=progress, until_closed=head_start)
        # Imported once the children are on their way: Ray Data takes most of a second.
        from jobs.runtime import cluster_nodes, ray_session

        with ray_session(config.execution) as resources:
            num_shards = max(len(state.todo), 1)
            choice = choose_pools(resources, config.execution, num_shards=num_shards, nodes=cluster_nodes())
            workers = workers_in(choice.pools, resources)
            starts_ray = not is_cluster_elsewhere(config.execution)
            levers = find_levers(package, config, workers, chosen=state.plan.engine_choice, starts_ray=starts_ray)
            record = attempt_record(choice, workers, levers=levers, started_s=started_s, golden=state.golden)
            note_attempt(config.output, record)
            if ahead.known_answers is None:
                on_gpus = choice.pools.actor_gpus > 0
                ahead = replace(
                    ahead, known_answers=index_answers(config, state.plan, on_gpus=on_gpus, progress=progress)
                )
            for todo, listing in parts_of_work(state, feed, progress=progress):
                seen = SeenShards(config.output, todo, progress)
                seen.look()
                settings = ahead.settings(config, package, state.plan, listing)
                healthy = [
                    shard_id for shard_id in seen.left(num_ahead=ahead.num_processes) if shard_id not in suspects
                ]
                pools = choose_pools(
                    resources, config.execution, num_shards=max(len(healthy), 1), nodes=cluster_nodes()
                ).pools
                for position, receipts in enumerate(pipeline_receipts(healthy, settings, pools=pools)):
                    if position == 0:
                        head_start.close()
                        seen.look()  # what the children did counts for the rate
                    seen.add(receipts)
                head_start.close()
                seen.look()
                quarantine(config.output, seen, settings, pools=choice.pools, progress=progress)


def parts_of_work(
    state: RunState, feed: ListingFeed, *, progress: RunProgress
) -> Iterator[tuple[Sequence[int], Listing]]:
    """Shards of one execution after the other, with the listing that has them, until all is listed and given.

    Args:
        state: what is left of what was listed when the command began; the first part, though it be empty.
        feed: lists on.
        progress: told how much is listed.
    """
    listing, todo = state.listing, state.todo
    while True:
        for start in range(0, max(len(todo), 1), MAX_EXECUTION_SHARDS):
            yield todo[start : start + MAX_EXECUTION_SHARDS], listing
        if listing.is_whole:
            return
        num_known = len(listing.shards)
        listing = feed.wait(num_known=num_known, patience_s=0.0)
        todo = range(num_known, len(listing.shards))
        progress.extend(num_rows=listing.num_rows, num_shards=len(listing.shards), is_whole=listing.is_whole)


def attempt_record(
    choice: PoolChoice, workers: Workers, *, levers: dict[str, str], started_s: float, golden: GoldenNote | None
) -> AttemptRecord:
    """What is kept of this command."""
    return AttemptRecord(
        started_s=started_s,
        layout=choice.pools.layout,
        layout_reason=choice.reason,
        actors=workers.actors,
        num_cores=workers.num_cores,
        versions=environment_versions(),
        golden=golden.line if golden else "",
        prepare_tasks=workers.prepare_tasks,
        commit_tasks=workers.commit_tasks,
        num_gpus=workers.num_gpus,
        levers=levers,
    )


def quarantine(output: str, seen: SeenShards, settings: StageSettings, *, pools: Pools, progress: RunProgress) -> None:
    """Do the shards that the pipeline left, each in a child process of an actor.

    Raises:
        JobError: one cannot be done there either.
    """
    left = sorted(seen.left())
    if not left:
        return
    note_suspects(output, left)
    progress.say(f"workers failed on {len(left)} shards (first: {left[0]}); they are done again in quarantine")
    for table in quarantine_receipts(left, settings, pools=pools):
        seen.add(table)
    seen.look()


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
