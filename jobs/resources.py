"""Share a cluster's CPUs and GPUs among the stages, and refuse a plan that would starve one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference_core.errors import ConfigError
from jobs.bottleneck import Workers
from jobs.execution_config import ExecutionConfig
from jobs.nodes import Node, count_slots, largest_share, place, units
from jobs.pools import Pools

COMMIT_CPUS = 0.25
"""Reserved for one committing task: it mostly waits for storage. Never so much that it cannot be placed."""
SHARED_FRAC = 0.9
"""Share of the CPUs that preparing and inferring may reserve together where there are no GPUs."""


TASKS_PER_GROWING_ACTOR = 8
"""Preparing tasks for each actor that a growing pool may get: what one inferring GPU usually needs."""
LEAST_CPUS = 0.01
"""A smaller request is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChoice:
    """Pools and why they are so."""

    pools: Pools
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What of a cluster a run may use."""

    nodes: Sequence[Node]
    """All machines; one request never spreads over two."""
    cpus: int
    gpus: float


def choose_pools(
    resources: Mapping[str, float], execution: ExecutionConfig, *, num_shards: int, nodes: Sequence[Node] = ()
) -> PoolChoice:
    """Pools for a cluster.

    Args:
        resources: the cluster's total, as Ray gives it (CPU, GPU).
        execution: what the user fixed; the rest is chosen.
        num_shards: shards left to do; no pool is larger.
        nodes: what each machine offers; without them the cluster is taken for one machine.

    Raises:
        ConfigError: what the user fixed does not fit the cluster, so that a stage would wait for ever.
    """
    share = share_of(resources, execution, nodes=nodes)
    grows = execution.max_actors is not None
    if share.cpus < 1 and not grows:
        raise ConfigError("the cluster must have at least one CPU for the run, got none; add a worker node")
    if execution.device == "cuda" and not share.gpus and not grows:
        raise ConfigError("must be auto or cpu on a cluster without GPUs, got cuda", key="execution.device")
    # A cluster that grows may have none of its GPUs yet.
    uses_gpus = bool(share.gpus) or execution.device == "cuda"
    gpus = execution.gpus_per_actor if uses_gpus else 0.0
    if execution.layout == "split" or (execution.layout == "auto" and uses_gpus):
        why = f"split: {share.gpus:g} GPUs infer while {share.cpus} CPUs prepare" if uses_gpus else "split: asked for"
        return PoolChoice(pools=split_pools(share, execution, actor_gpus=gpus, num_shards=num_shards), reason=why)
    why = "whole: asked for" if execution.layout == "whole" else "whole: without GPUs, pixels need not leave a process"
    return PoolChoice(pools=whole_pools(share, execution, actor_gpus=gpus, num_shards=num_shards), reason=why)


def share_of(resources: Mapping[str, float], execution: ExecutionConfig, *, nodes: Sequence[Node]) -> Share:
    """What of the cluster the settings leave to the run."""
    gpus = 0.0 if execution.device == "cpu" else resources.get("GPU", 0.0)
    cpus = int(resources.get("CPU", 0))
    return Share(
        nodes=nodes or (Node(cpus=cpus, gpus=gpus),),
        cpus=min(cpus, execution.num_cpus or cpus),
        gpus=gpus if execution.num_gpus is None else min(gpus, execution.num_gpus),
    )


def whole_pools(share: Share, execution: ExecutionConfig, *, actor_gpus: float, num_shards: int) -> Pools:
    """One actor per core, or per GPU."""
    usual = gpu_slots(share, actor_gpus) if actor_gpus else min(share.cpus, count_slots(share.nodes, cpus=1.0))
    least, most = actor_range(execution, usual=max(1, usual), num_shards=num_shards)
    check_gpu_slots(share, execution, actors=most, actor_gpus=actor_gpus)
    placed = min(most, max(least, usual)) if execution.max_actors else most
    cpus = largest_share(share.nodes, placed, most=min(1.0, share.cpus / placed), gpus=actor_gpus)
    return Pools(
        layout="whole",
        actors=most,
        min_actors=least,
        prepare_tasks=0,
        actor_gpus=actor_gpus,
        actor_cpus=cpus or float(execution.max_actors is not None and not share.cpus),
        prepare_cpus=0,
        commit_cpus=0,
    )


def split_pools(share: Share, execution: ExecutionConfig, *, actor_gpus: float, num_shards: int) -> Pools:
    """Actors infer; tasks prepare on the CPUs that are left, but for room to commit."""
    usual = gpu_slots(share, actor_gpus) if actor_gpus else max(1, share.cpus // 2)
    least, most = actor_range(execution, usual=max(1, usual), num_shards=num_shards)
    check_gpu_slots(share, execution, actors=most, actor_gpus=actor_gpus)
    grows = execution.max_actors is not None
    # A pool that grows brings its machines with it: what is there now must do for those that it begins with.
    actors = min(most, max(least, usual)) if grows else most
    is_there = share.cpus >= 1 and (not actor_gpus or gpu_slots(share, actor_gpus) > 0)
    actor_cpus = split_actor_cpus(share, actors, actor_gpus=actor_gpus) if is_there else 1.0
    left = place_commit(place(share.nodes, actors, cpus=actor_cpus, gpus=actor_gpus))
    free = share.cpus - actors * actor_cpus - COMMIT_CPUS
    wished = max(1, int(free) if actor_gpus else share.cpus // 2)
    if grows:
        wished = max(wished, TASKS_PER_GROWING_ACTOR * most)
    tasks = min(execution.prepare_tasks or wished, num_shards)
    prepare_cpus = 0.95 if grows else largest_share(left, tasks, most=max(0.0, min(0.95, 0.95 * free / tasks)))
    if prepare_cpus < LEAST_CPUS:
        raise ConfigError(
            f"actors and prepare_tasks must leave CPUs for all stages, got {actors} actors and {tasks} tasks on "
            f"{share.cpus} CPUs; lower them or add CPUs",
            key="execution",
        )
    return Pools(
        layout="split",
        actors=most,
        min_actors=least,
        prepare_tasks=tasks,
        actor_gpus=actor_gpus,
        actor_cpus=round(actor_cpus, 4),
        # Never the actors' own request: Ray would run preparing tasks inside the actors.
        prepare_cpus=round(prepare_cpus if prepare_cpus != actor_cpus else prepare_cpus - 0.0001, 4),
        commit_cpus=COMMIT_CPUS,
    )


def split_actor_cpus(share: Share, actors: int, *, actor_gpus: float) -> float:
    """CPUs that Ray reserves for an actor of the split layout; 0 on machines that offer GPUs alone.

    Raises:
        ConfigError: not so many actors find their CPUs.
    """
    roomy = bool(actor_gpus) and actors + COMMIT_CPUS < share.cpus
    most = 1.0 if roomy else SHARED_FRAC * share.cpus / (2 * actors)
    found = largest_share(share.nodes, actors, most=most, gpus=actor_gpus)
    if found < LEAST_CPUS and not actor_gpus:
        raise ConfigError(
            f"must leave each actor CPUs, got {actors} actors on {share.cpus} CPUs; lower it or add CPUs",
            key="execution.actors",
        )
    return found if found >= LEAST_CPUS else 0.0


def place_commit(nodes: Sequence[Node]) -> list[Node]:
    """What is left once a committing task has its room, where a machine has it."""
    return place(nodes, 1, cpus=COMMIT_CPUS)


def actor_range(execution: ExecutionConfig, *, usual: int, num_shards: int) -> tuple[int, int]:
    """The fewest and the most actors: the same number unless the pool may grow."""
    if execution.max_actors is None:
        fixed = min(execution.actors or usual, num_shards)
        return fixed, fixed
    return min(execution.actors or 1, num_shards), min(execution.max_actors, num_shards)


def gpu_slots(share: Share, actor_gpus: float) -> int:
    """Actors that find their part of a GPU: on the machines as they are, and within the run's share."""
    return min(count_slots(share.nodes, cpus=0.0, gpus=actor_gpus), units(share.gpus) // units(actor_gpus))


def check_gpu_slots(share: Share, execution: ExecutionConfig, *, actors: int, actor_gpus: float) -> None:
    """Raise ConfigError where an actor of a fixed pool would wait for a GPU for ever."""
    if not actor_gpus or execution.max_actors is not None:
        return
    slots = gpu_slots(share, actor_gpus)
    if actors > slots:
        raise ConfigError(
            f"must be at most {slots} with {share.gpus:g} GPUs and {actor_gpus:g} of one for each actor, got {actors}; "
            "lower it, lower execution.gpus_per_actor, or set execution.max_actors where the cluster grows",
            key="execution.actors",
        )


def workers_in(pools: Pools, resources: Mapping[str, float]) -> Workers:
    """How many will work at a time on a cluster."""
    cpus = float(resources.get("CPU", 0))
    free = cpus - pools.actors * pools.actor_cpus - pools.prepare_tasks * pools.prepare_cpus
    uses_gpus = pools.actor_gpus > 0
    return Workers(
        layout=pools.layout,
        actors=pools.actors,
        prepare_tasks=pools.prepare_tasks,
        commit_tasks=max(1, int(free / COMMIT_CPUS)) if pools.layout == "split" else 0,
        num_cores=int(cpus),
        num_gpus=min(int(resources.get("GPU", 0)), pools.actors) if uses_gpus else 0,
    )


def available_cpus(execution: ExecutionConfig) -> int:
    """CPUs of a cluster that is started for one run: what the user says, else those this process may use."""
    return execution.num_cpus or len(os.sched_getaffinity(0))


def is_cluster_elsewhere(execution: ExecutionConfig) -> bool:
    """Whether the run uses a cluster that it did not start."""
    return bool(cluster_address(execution))


def cluster_address(execution: ExecutionConfig) -> str | None:
    """Address of the cluster to use, None for one that is started for this run."""
    return execution.address or os.environ.get("RAY_ADDRESS") or None
