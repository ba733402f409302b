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
from jobs.predict_rows import PredictRows, PredictSettings
from jobs.quarantine import QuarantineShards
from jobs.stage_settings import StageSettings
from jobs.stages import CommitShards, InferShards, PrepareShards, WholeShards

MAX_SYSTEM_RETRIES = 1
"""How often Ray repeats a call whose process died, e.g. with its node, before its shards are left to the quarantine."""


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


def build_predictions(
    images: Dataset, settings: PredictSettings, *, actors: int, num_gpus: float = 0.0, rows_at_a_time: int = 64
) -> Dataset:
    """Predictions for a user's own dataset, as a lazy dataset between their own stages.

    Nothing is planned and nothing is committed: what a restart repeats is up to the stages around it.

    Args:
        images: rows with encoded images or with their URIs.
        settings: the model and the columns.
        actors: that hold the model.
        num_gpus: of each actor.
        rows_at_a_time: that an actor is given; several batches of the model, for a GPU that is not to wait.

    Returns:
        The rows' own columns without the encoded images, and those of the model's task; see docs/output-schema.md.
    """
    return images.map_batches(
        PredictRows,
        fn_constructor_args=(settings,),
        batch_size=rows_at_a_time,
        batch_format="pyarrow",
        compute=ActorPoolStrategy(size=actors),
        num_gpus=num_gpus,
    )


def build_quarantine(shard_ids: Sequence[int], settings: StageSettings, *, pools: Pools) -> Dataset:
    """Shards that a worker died on as a lazy dataset of receipts: each is done in a child process of an actor.

    Args:
        shard_ids: shards that are not committed, at least one.
        settings: what workers need to know.
        pools: how the stages share the cluster.
    """
    blocks = [pa.table({"shard_id": [shard_id]}, schema=SHARD_SCHEMA) for shard_id in shard_ids]
    fewer = pools.model_copy(update={"actors": min(pools.actors, len(shard_ids)), "min_actors": None})
    return map_actors(ray.data.from_arrow(blocks), QuarantineShards, settings, pools=fewer, concurrent_calls=1)


def build_whole(shards: Dataset, settings: StageSettings, pools: Pools) -> Dataset:
    """One pool of actors does everything."""
    return map_actors(shards, WholeShards, settings, pools=pools, concurrent_calls=1)


def build_split(shards: Dataset, settings: StageSettings, pools: Pools) -> Dataset:
    """CPU tasks prepare, a pool of actors infers, CPU tasks finish and commit."""
    prepared = map_tasks(
        shards, PrepareShards(settings), num_cpus=pools.prepare_cpus, compute=TaskPoolStrategy(size=pools.prepare_tasks)
    )
    inferred = map_actors(prepared, InferShards, settings, pools=pools, concurrent_calls=2)
    return map_tasks(inferred, CommitShards(settings), num_cpus=pools.commit_cpus, compute=None)


def map_tasks(
    dataset: Dataset,
    stage: PrepareShards | CommitShards,
    *,
    num_cpus: float,
    compute: TaskPoolStrategy | None,
) -> Dataset:
    """A stage of tasks. By default Ray would repeat one whose process dies for ever."""
    with warnings.catch_warnings():
        # Ray 2.60 has no other way to bound the retries of a call whose process dies.
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return dataset.map_batches(
            stage,
            batch_size=None,
            batch_format="pyarrow",
            compute=compute,
            num_cpus=num_cpus,
            max_retries=MAX_SYSTEM_RETRIES,
        )


def map_actors(
    dataset: Dataset,
    stage: type[InferShards | WholeShards | QuarantineShards],
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
