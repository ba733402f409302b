"""Ray for the time of a run: connect or start, set the context, and leave nothing behind."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import ray
from ray.data import DataContext

from inference_core.errors import ConfigError
from jobs.config import ExecutionConfig

STORE_BYTES_PER_CPU = 256 * 1024 * 1024
"""Object store of a cluster that is started for one run, for each CPU: blocks in flight, far below Ray's default."""
MAX_ACTOR_START_FAILURES = 3
"""Actors that may die while they start, e.g. with a node, before the run ends."""


WARM_UP_LIMIT = 64
"""Most workers that are warmed up; beyond that, starting them is not what takes the time."""


@contextmanager
def ray_session(execution: ExecutionConfig) -> Iterator[RaySession]:
    """Ray, connected or started; a cluster that was started here is shut down at the end.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    address = execution.address or os.environ.get("RAY_ADDRESS")
    was_initialised = ray.is_initialized()
    if not was_initialised:
        start_ray(address, execution)
    set_data_context(execution)
    try:
        yield RaySession(resources=ray.cluster_resources(), is_own=not was_initialised and not address)
    finally:
        if not was_initialised:
            ray.shutdown()


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySession:
    """A cluster to work on."""

    resources: Mapping[str, float]
    """In all, as Ray counts them."""
    is_own: bool
    """Whether it was started for this run."""


def start_ray(address: str | None, execution: ExecutionConfig) -> None:
    """Connect to a cluster, or start one on this machine without a dashboard."""
    # Ray 2.60 logs an error for every pool of actors of Ray Data (ray-project/ray#53727), which nobody can act on.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if address:
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        except ConnectionError as exc:
            raise ConfigError(
                f"must be the address of a running cluster, got {address!r} ({str(exc).splitlines()[0]}); start "
                "it, or unset "
                "RAY_ADDRESS",
                key="execution.address",
            ) from exc
        return
    cpus = execution.num_cpus or os.cpu_count() or 1
    ray.init(
        num_cpus=cpus,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        object_store_memory=cpus * STORE_BYTES_PER_CPU,
    )


def set_data_context(execution: ExecutionConfig) -> None:
    """Ray Data as this pipeline needs it."""
    context = DataContext.get_current()
    context.target_max_block_size = None  # a block is a shard and is never cut
    context.enable_progress_bars = False  # ours counts images and commits
    context.execution_no_progress_timeout_s = execution.no_progress_timeout_s
    context.max_consecutive_actor_init_deaths = MAX_ACTOR_START_FAILURES
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def warm_up_workers(session: RaySession, *, model_format: str) -> None:
    """Let the idle workers of a new cluster load what actors need, while the driver still plans.

    Ray reuses the processes for the actors, so that a run's first commit comes a second or two earlier.
    """
    if session.is_own:
        load = ray.remote(num_cpus=1)(load_stage_modules)
        for _ in range(min(int(session.resources["CPU"]), WARM_UP_LIMIT)):
            load.remote(model_format)


def load_stage_modules(model_format: str) -> None:
    """Import what a worker imports: the stages, Ray Data and the engine's library."""
    for name in ("ray.data", "jobs.stages", "onnxruntime" if model_format == "onnx" else "torch"):
        importlib.import_module(name)
