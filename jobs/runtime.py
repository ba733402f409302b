"""Ray for the time of a run: connect or start, set the context, and leave nothing behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import ray
from ray.data import DataContext

from jobs.config import ExecutionConfig

STORE_BYTES_PER_CPU = 256 * 1024 * 1024
"""Object store of a cluster that is started for one run, for each CPU: blocks in flight, far below Ray's default."""
MAX_ACTOR_START_FAILURES = 3
"""Actors that may die while they start, e.g. with a node, before the run ends."""


@contextmanager
def ray_session(execution: ExecutionConfig) -> Iterator[Mapping[str, float]]:
    """Ray, connected or started; a cluster that was started here is shut down at the end.

    Yields:
        The cluster's resources.
    """
    address = execution.address or os.environ.get("RAY_ADDRESS")
    was_initialised = ray.is_initialized()
    if not was_initialised:
        start_ray(address, execution)
    set_data_context(execution)
    try:
        yield ray.cluster_resources()
    finally:
        if not was_initialised:
            ray.shutdown()


def start_ray(address: str | None, execution: ExecutionConfig) -> None:
    """Connect to a cluster, or start one on this machine without a dashboard."""
    if address:
        ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False)
        return
    cpus = execution.num_cpus or os.cpu_count() or 1
    ray.init(
        num_cpus=cpus,
        include_dashboard=False,
        logging_level=logging.WARNING,
        log_to_driver=False,
        object_store_memory=max(1, cpus) * STORE_BYTES_PER_CPU,
        configure_logging=True,
    )


def set_data_context(execution: ExecutionConfig) -> None:
    """Ray Data as this pipeline needs it."""
    context = DataContext.get_current()
    context.target_max_block_size = None  # a block is a shard and is never cut
    context.enable_progress_bars = False  # ours counts images and commits
    context.execution_no_progress_timeout_s = execution.no_progress_timeout_s
    context.max_consecutive_actor_init_deaths = MAX_ACTOR_START_FAILURES
    logging.getLogger("ray.data").setLevel(logging.ERROR)
