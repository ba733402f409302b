"""Share a cluster's CPUs and GPUs among the stages, and refuse a plan that would starve one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from inference_core.errors import ConfigError
from jobs.config import ExecutionConfig
from jobs.pools import Pools

COMMIT_CPUS = 0.25
"""Reserved for one committing task: it mostly waits for storage. Never so much that it cannot be placed."""
SHARED_FRAC = 0.9
"""Share of the CPUs that preparing and inferring may reserve together where there are no GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChoice:
    """Pools and why they are so."""

    pools: Pools
    reason: str


def choose_pools(resources: Mapping[str, float], execution: ExecutionConfig, *, num_shards: int) -> PoolChoice:
    """Pools for a cluster.

    Args:
        resources: the cluster's total, as Ray gives it (CPU, GPU).
        execution: what the user fixed; the rest is chosen.
        num_shards: shards left to do; no pool is larger.

    Raises:
        ConfigError: what the user fixed does not fit the cluster, so that a stage would wait for ever.
    """
    cpus = int(resources.get("CPU", 0))
    gpus = 0 if execution.device == "cpu" else int(resources.get("GPU", 0))
    if cpus < 1:
        raise ConfigError("the cluster must have at least one CPU for the run, got none; add a worker node")
    if execution.device == "cuda" and gpus == 0:
        raise ConfigError("must be auto or cpu on a cluster without GPUs, got cuda", key="execution.device")
    if execution.layout == "split" or (execution.layout == "auto" and gpus):
        why = f"split: {gpus} GPUs infer while {cpus} CPUs prepare" if gpus else "split: asked for"
        return PoolChoice(pools=split_pools(cpus, gpus, execution, num_shards=num_shards), reason=why)
    why = "whole: asked for" if execution.layout == "whole" else "whole: without GPUs, pixels need not leave a process"
    return PoolChoice(pools=whole_pools(cpus, gpus, execution, num_shards=num_shards), reason=why)


def whole_pools(cpus: int, gpus: int, execution: ExecutionConfig, *, num_shards: int) -> Pools:
    """One actor per core, or per GPU."""
    actors = min(execution.actors or gpus or cpus, num_shards)
    return Pools(
        layout="whole",
        actors=actors,
        prepare_tasks=0,
        actor_gpus=gpus_per_actor(gpus, actors),
        actor_cpus=min(1.0, cpus / actors),
        prepare_cpus=0,
        commit_cpus=0,
    )


def split_pools(cpus: int, gpus: int, execution: ExecutionConfig, *, num_shards: int) -> Pools:
    """Actors infer; tasks prepare on the CPUs that are left, but for room to commit."""
    actors = min(execution.actors or gpus or max(1, cpus // 2), num_shards)
    actor_cpus = 1.0 if gpus and actors + COMMIT_CPUS < cpus else SHARED_FRAC * cpus / (2 * actors)
    free = cpus - actors * actor_cpus - COMMIT_CPUS
    prepare_tasks = min(execution.prepare_tasks or max(1, int(free) if gpus else cpus // 2), num_shards)
    # Never the actors' own request: Ray would run preparing tasks inside the actors.
    prepare_cpus = min(0.95, 0.95 * free / prepare_tasks)
    needed = actors * actor_cpus + prepare_tasks * prepare_cpus + COMMIT_CPUS
    if prepare_cpus < 0.01 or needed > cpus:
        raise ConfigError(
            f"actors and prepare_tasks must leave CPUs for all stages, got {actors} actors and {prepare_tasks} "
            "tasks on "
            f"{cpus} CPUs; lower them or add CPUs",
            key="execution",
        )
    return Pools(
        layout="split",
        actors=actors,
        prepare_tasks=prepare_tasks,
        actor_gpus=gpus_per_actor(gpus, actors),
        actor_cpus=round(actor_cpus, 4),
        prepare_cpus=round(prepare_cpus, 4),
        commit_cpus=COMMIT_CPUS,
    )


def gpus_per_actor(gpus: int, actors: int) -> float:
    """Whole GPUs, or a share of one where there are more actors than GPUs."""
    if gpus == 0:
        return 0.0
    # Ray counts GPUs in steps of 0.0001; rounding up would leave the last actor without one.
    return 1.0 if actors <= gpus else int(gpus / actors * 10_000) / 10_000


def available_cpus(execution: ExecutionConfig) -> int:
    """CPUs of a cluster that is started for one run: what the user says, else those this process may use."""
    return execution.num_cpus or len(os.sched_getaffinity(0))


def is_cluster_elsewhere(execution: ExecutionConfig) -> bool:
    """Whether the run uses a cluster that it did not start."""
    return bool(cluster_address(execution))


def cluster_address(execution: ExecutionConfig) -> str | None:
    """Address of the cluster to use, None for one that is started for this run."""
    return execution.address or os.environ.get("RAY_ADDRESS") or None
