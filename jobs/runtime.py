"""Ray for the time of a run: connect or start, set the context, and leave nothing behind."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import ray
import ray.exceptions
from ray.data import DataContext, ExecutionResources

from inference_core.errors import ConfigError, JobError
from jobs.address import check_address
from jobs.config import ExecutionConfig
from jobs.draining import StopFlag, drained_on_sigterm
from jobs.feed_gate import install_feed_gate
from jobs.nodes import Node
from jobs.resources import available_cpus, cluster_address

STORE_BYTES_PER_CPU = 256 * 1024 * 1024
"""Object store of a cluster that is started for one run, for each CPU: blocks in flight, far below Ray's default."""
MAX_ACTOR_START_FAILURES = 3
"""Actors that may die while they start, e.g. with a node, before the run ends."""

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
        has_gpus = execution.device != "cpu" and resources.get("GPU", 0) >= 1
        if execution.device == "cuda" and not has_gpus:
            raise ConfigError("must be auto or cpu on a cluster without GPUs, got cuda", key="execution.device")
        # One call, so that the process ends and gives the GPU's memory back before the actors come.
        task = ray.remote(num_cpus=1, num_gpus=int(has_gpus), max_calls=1, max_retries=0)(function)
        try:
            return ray.get(task.remote(*args, **kwargs))  # type: ignore[no-any-return]
        except ray.exceptions.RayTaskError as exc:
            raise exc.cause from exc
        except ray.exceptions.RayError as exc:
            reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
            raise JobError(
                f"measuring on the cluster must end, but its process stopped: {reason}; name execution.engine, "
                "precision and batch_size, or run the same command again"
            ) from exc


def start_ray(address: str | None, execution: ExecutionConfig) -> None:
    """Connect to a cluster, or start one on this machine without a dashboard."""
    # Ray 2.60 logs an error for every pool of actors of Ray Data (ray-project/ray#53727), which nobody can act on.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
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
def quiet_stderr() -> Iterator[None]:
    """Drop what native code writes to standard error meanwhile: Ray's core greets there. Errors are raised anyway."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


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
    context.execution_no_progress_timeout_s = execution.no_progress_timeout_s
    context.max_consecutive_actor_init_deaths = MAX_ACTOR_START_FAILURES
    context.execution_options.resource_limits = ExecutionResources.for_limits(
        cpu=execution.num_cpus, gpu=execution.num_gpus
    )
    install_feed_gate(context, stop)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
