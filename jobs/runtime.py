"""Ray for the time of a run: connect or start, set the context, and leave nothing behind."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, ParamSpec, TypeVar

import ray
import ray.exceptions
from ray.data import DataContext, ExecutionResources
from ray.data._internal.execution.execution_callback import ExecutionCallback

from inference_core.errors import ConfigError, JobError
from inference_core.native_output import quiet_stderr
from jobs.address import check_address
from jobs.draining import StopFlag, drained_on_sigterm
from jobs.execution_config import ExecutionConfig
from jobs.feed_gate import install_feed_gate
from jobs.head_watch import LOOK_INTERVAL_S as HEAD_LOOK_INTERVAL_S
from jobs.head_watch import HeadWatch, head_patience_s
from jobs.last_resort import ended_if_stuck
from jobs.metrics.pipeline_watch import install_pipeline_watch
from jobs.nodes import Node
from jobs.resources import available_cpus, cluster_address
from jobs.watchdog import PipelineState, Watchdog

STORE_BYTES_PER_CPU = 256 * 1024 * 1024
"""Object store of a cluster that is started for one run, for each CPU: blocks in flight, far below Ray's default."""
MAX_ACTOR_START_FAILURES = 3
"""Actors that may die while they start, e.g. with a node, before the run ends."""

MAX_FAILED_SHARDS = 16
"""Shards that may fail before the pipeline ends; those that failed are done again in quarantine."""

STUCK_GRACE_S = 60.0
"""How long Ray may take to end a pipeline in which nothing moves, before the process is ended."""

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def ray_session(execution: ExecutionConfig) -> Iterator[Mapping[str, float]]:
    """Ray, connected or started; a cluster that was started here is shut down at the end.

    Yields:
        The cluster's resources in all, as Ray counts them.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    address = cluster_address(execution)
    was_initialised = ray.is_initialized()
    if not was_initialised:
        with kept_sigterm_handler():
            start_ray(address, execution)
    stop = StopFlag()
    set_data_context(execution, stop=stop)
    head = HeadWatch(ray.get_runtime_context().gcs_address, patience_s=head_patience_s())
    with ended_if_stuck(head.find_reason, interval_s=HEAD_LOOK_INTERVAL_S):
        try:
            with drained_on_sigterm(stop, grace_s=execution.stop_grace_s):
                yield ray.cluster_resources()
        finally:
            if not was_initialised:
                ray.shutdown()


def call_on_cluster(execution: ExecutionConfig, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function gives in a process like those of the actors: on a GPU where they will have one.

    Args:
        execution: the settings of the run.
        function: importable wherever ``millrace`` is installed; its arguments and its result are small.
        args: its arguments.
        kwargs: likewise.

    Raises:
        ConfigError: there is no cluster, or it has no GPU though the device is cuda.
        JobError: the process died.
        Exception: whatever the function raises.
    """
    with ray_session(execution) as resources:
        gpus = resources.get("GPU", 0)
        share = gpus if execution.num_gpus is None else min(gpus, execution.num_gpus)
        has_gpus = execution.device != "cpu" and share >= 1
        if execution.device == "cuda" and not has_gpus:
            raise ConfigError("must be auto or cpu on a cluster without GPUs, got cuda", key="execution.device")
        # One call, so that the process ends and gives the GPU's memory back before the actors come.
        task = ray.remote(num_cpus=1, num_gpus=int(has_gpus), max_calls=1, max_retries=0)(function)
        try:
            return ray.get(task.remote(*args, **kwargs))  # type: ignore[no-any-return]
        except ray.exceptions.RayTaskError as exc:
            raise exc.cause from exc
        except ray.exceptions.RayError as exc:
            reason = " ".join(str(exc).split()) or type(exc).__name__
            raise JobError(
                f"measuring on the cluster must end, but its process stopped: {reason}; name execution.engine, "
                "precision and batch_size, or run the same command again"
            ) from exc


def start_ray(address: str | None, execution: ExecutionConfig) -> None:
    """Connect to a cluster, or start one on this machine without a dashboard."""
    # Ray 2.60 logs an error for every pool of actors of Ray Data (ray-project/ray#53727), which nobody can act on.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # Else a task that runs out of memory is repeated for ever.
    os.environ.setdefault("RAY_task_oom_retries", "1")
    if address:
        check_address(address)
        try:
            with quiet_stderr():
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, ValueError) as exc:
            raise ConfigError(
                f"must be the address of a running cluster, got {address!r} ({str(exc).splitlines()[0]}); start "
                "it, or unset "
                "RAY_ADDRESS",
                key="execution.address",
            ) from exc
        return
    cpus = available_cpus(execution)
    with quiet_stderr():
        ray.init(
            address="local",  # else it would join whatever cluster somebody started on this machine
            num_cpus=cpus,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
            object_store_memory=cpus * STORE_BYTES_PER_CPU,
        )


@contextmanager
def kept_sigterm_handler() -> Iterator[None]:
    """Keep the program's own answer to SIGTERM: ``ray.init`` sets one that exits with the signal's number."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as exc:
        if exc.code == signal.SIGTERM and callable(handler):
            handler(signal.SIGTERM, None)
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def cluster_nodes() -> list[Node]:
    """The machines of the connected cluster and what each offers."""
    offers = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(cpus=offer.get("CPU", 0.0), gpus=offer.get("GPU", 0.0)) for offer in offers]


def set_data_context(execution: ExecutionConfig, *, stop: StopFlag) -> None:
    """Ray Data as this pipeline needs it."""
    context = DataContext.get_current()
    context.target_max_block_size = None  # a block is a shard and is never cut
    context.enable_progress_bars = False  # ours counts images and commits
    context.execution_no_progress_timeout_s = -1  # ours counts commits
    context.max_consecutive_actor_init_deaths = MAX_ACTOR_START_FAILURES
    context.execution_options.resource_limits = ExecutionResources.for_limits(
        cpu=execution.num_cpus, gpu=execution.num_gpus
    )
    install_feed_gate(context, stop)
    if execution.metrics_port is not None:
        install_pipeline_watch(context)
    context.max_errored_blocks = MAX_FAILED_SHARDS
    # Errors that end the run are raised; those of shards that are done again are not the user's.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


class CommitWatch(ExecutionCallback):  # type: ignore[misc] # Ray has no annotations here
    """Asks the watchdog at each step of the pipeline. Ray makes it itself, so the watchdog stands with the class."""

    watchdog: ClassVar[Watchdog | None] = None

    def on_execution_step(self, executor: Any) -> None:
        """End the pipeline where the watchdog says so: what is raised here is raised where receipts are waited for."""
        if self.watchdog is not None:
            self.watchdog.check(lambda: describe_pipeline(executor))


@contextmanager
def watched_by(watchdog: Watchdog) -> Iterator[None]:
    """Let the watchdog look at pipelines that are built and run meanwhile, and end the process where Ray hangs too."""
    classes = DataContext.get_current().custom_execution_callback_classes
    CommitWatch.watchdog = watchdog
    classes.append(CommitWatch)
    try:
        with ended_if_stuck(lambda: watchdog.find_stuck(STUCK_GRACE_S)):
            yield
    finally:
        classes.remove(CommitWatch)
        CommitWatch.watchdog = None


def describe_pipeline(executor: Any) -> PipelineState:
    """What a pipeline of Ray Data 2.60 is at."""
    stages = [(operator, state) for operator, state in executor._topology.items() if operator.input_dependencies]
    waiting = [state.total_enqueued_input_blocks() for _, state in stages[1:]]
    return PipelineState(
        num_in_work=sum(operator.num_active_tasks() for operator, _ in stages) + sum(waiting),
        lines=[
            f"{operator.name}: {operator.num_active_tasks()} calls, actors: {str(operator.get_actor_info()) or 'none'}"
            for operator, _ in stages
        ],
    )


@contextmanager
def set_tolerance(*, num_shards: int) -> Iterator[None]:
    """For datasets that are built meanwhile: how many shards may fail before the pipeline ends."""
    context = DataContext.get_current()
    before, context.max_errored_blocks = context.max_errored_blocks, num_shards
    try:
        yield
    finally:
        context.max_errored_blocks = before
