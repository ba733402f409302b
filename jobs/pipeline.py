"""Build a run's Ray Data pipeline. Nothing starts here; iterating the dataset runs it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy, Dataset, TaskPoolStrategy
from ray.util.annotations import RayDeprecationWarning

from jobs.columns import SHARD_SCHEMA
from jobs.pools import Pools
from jobs.stages import CommitShards, InferShards, PrepareShards, StageSettings, WholeShards

MAX_SYSTEM_RETRIES = 2
"""How often Ray repeats a call whose process died, before the run ends with an error and can be resumed."""


def build_pipeline(shard_ids: Sequence[int], settings: StageSettings, *, pools: Pools) -> Dataset:
    """Shards to do as a lazy dataset of receipts.

    Args:
        shard_ids: shards that are not committed, at least one.
        settings: what workers need to know.
        pools: how the stages share the cluster.

    Returns:
        Rows of RECEIPT_SCHEMA, one for each shard, as they are committed.
    """
    # One block for each shard: a shard is the unit of work, of retry and of commit.
    blocks = [pa.table({"shard_id": [shard_id]}, schema=SHARD_SCHEMA) for shard_id in shard_ids]
    shards = ray.data.from_arrow(blocks)
    return build_whole(shards, settings, pools) if pools.layout == "whole" else build_split(shards, settings, pools)


def build_whole(shards: Dataset, settings: StageSettings, pools: Pools) -> Dataset:
    """One pool of actors does everything."""
    return map_actors(shards, WholeShards, settings, pools=pools, concurrent_calls=1)


def build_split(shards: Dataset, settings: StageSettings, pools: Pools) -> Dataset:
    """CPU tasks prepare, a pool of actors infers, CPU tasks finish and commit."""
    prepared = shards.map_batches(
        PrepareShards(settings),
        batch_size=None,
        batch_format="pyarrow",
        compute=TaskPoolStrategy(size=pools.prepare_tasks),
        num_cpus=pools.prepare_cpus,
    )
    inferred = map_actors(prepared, InferShards, settings, pools=pools, concurrent_calls=2)
    return inferred.map_batches(
        CommitShards(settings),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=pools.commit_cpus,
    )


def map_actors(
    dataset: Dataset,
    stage: type[InferShards | WholeShards],
    settings: StageSettings,
    *,
    pools: Pools,
    concurrent_calls: int,
) -> Dataset:
    """A stage of long-lived actors that hold the model."""
    with warnings.catch_warnings():
        # Ray 2.60 has no other way to bound the retries of a call whose process dies.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return dataset.map_batches(
            stage,
            fn_constructor_kwargs={"settings": settings},
            batch_size=1,  # a row is a shard
            batch_format="pyarrow",
            compute=actor_pool(pools, concurrent_calls=concurrent_calls),
            num_cpus=pools.actor_cpus,
            num_gpus=pools.actor_gpus,
            max_restarts=-1,
            max_task_retries=MAX_SYSTEM_RETRIES,
        )


def actor_pool(pools: Pools, *, concurrent_calls: int) -> ActorPoolStrategy:
    """A pool of a fixed size, or one that grows while shards wait."""
    least = pools.min_actors or pools.actors
    if least == pools.actors:
        return ActorPoolStrategy(size=pools.actors, max_concurrent_calls_per_actor=concurrent_calls)
    return ActorPoolStrategy(min_size=least, max_size=pools.actors, max_concurrent_calls_per_actor=concurrent_calls)
