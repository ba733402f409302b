from __future__ import annotations

import math
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ConfigError
from jobs.config import ExecutionConfig
from jobs.pools import Pools
from jobs.resources import COMMIT_CPUS, available_cpus, choose_pools, gpus_per_actor


def choose(cpus: float, gpus: float, num_shards: int = 1000, **options: Any) -> Pools:
    return choose_pools(
        {"CPU": cpus, "GPU": gpus}, ExecutionConfig.model_validate(options), num_shards=num_shards
    ).pools


def units(amount: float) -> int:
    """What Ray reserves: it counts in steps of 0.0001 and drops what is below one."""
    return math.floor(amount * 10_000 + 1e-6)


def reserved(pools: Pools) -> int:
    return pools.actors * units(pools.actor_cpus) + pools.prepare_tasks * units(pools.prepare_cpus)


@pytest.mark.parametrize(
    ("cpus", "gpus", "options", "expected"),
    [
        pytest.param(1, 0, {}, ("whole", 1, 0), id="one-core"),
        pytest.param(4, 0, {}, ("whole", 4, 0), id="an-actor-per-core"),
        pytest.param(4, 0, {"actors": 2}, ("whole", 2, 0), id="fewer-actors"),
        pytest.param(8, 2, {"layout": "whole"}, ("whole", 2, 0), id="whole-on-gpus"),
        pytest.param(8, 2, {"device": "cpu"}, ("whole", 8, 0), id="gpus-not-wanted"),
        pytest.param(4, 0, {"layout": "split"}, ("split", 2, 2), id="split-without-gpus"),
        pytest.param(1, 0, {"layout": "split"}, ("split", 1, 1), id="split-on-one-core"),
        pytest.param(16, 2, {}, ("split", 2, 13), id="an-actor-per-gpu"),
        pytest.param(16, 2, {"prepare_tasks": 3}, ("split", 2, 3), id="fewer-tasks"),
        pytest.param(16, 1, {"actors": 4}, ("split", 4, 11), id="actors-that-share-a-gpu"),
        pytest.param(1, 1, {}, ("split", 1, 1), id="one-core-and-one-gpu"),
        pytest.param(2, 4, {}, ("split", 4, 1), id="more-gpus-than-cores"),
    ],
)
def test_pools(cpus: int, gpus: int, options: dict[str, Any], expected: tuple[str, int, int]) -> None:
    pools = choose(cpus, gpus, **options)
    assert (pools.layout, pools.actors, pools.prepare_tasks) == expected


@pytest.mark.parametrize("layout", ["whole", "split"])
def test_no_pool_is_larger_than_the_work(layout: str) -> None:
    pools = choose(64, 0, num_shards=2, layout=layout)
    assert pools.actors == 2
    assert pools.prepare_tasks <= 2


@pytest.mark.parametrize(
    ("cpus", "gpus", "options", "reason"),
    [
        (4, 0, {}, "whole: without GPUs, pixels need not leave a process"),
        (4, 0, {"layout": "whole"}, "whole: asked for"),
        (4, 0, {"layout": "split"}, "split: asked for"),
        (16, 2, {}, "split: 2 GPUs infer while 16 CPUs prepare"),
    ],
)
def test_the_layout_comes_with_its_reason(cpus: int, gpus: int, options: dict[str, Any], reason: str) -> None:
    choice = choose_pools({"CPU": cpus, "GPU": gpus}, ExecutionConfig.model_validate(options), num_shards=9)
    assert choice.reason == reason


@pytest.mark.parametrize(
    ("resources", "options", "message"),
    [
        pytest.param({}, {}, "must have at least one CPU for the run, got none", id="no-cpu"),
        pytest.param({"CPU": 0.5}, {}, "must have at least one CPU", id="half-a-cpu"),
        pytest.param(
            {"CPU": 4},
            {"device": "cuda"},
            "execution.device: must be auto or cpu on a cluster without GPUs",
            id="no-gpu",
        ),
        pytest.param(
            {"CPU": 2},
            {"layout": "split", "prepare_tasks": 200},
            "execution: actors and prepare_tasks must leave CPUs for all stages, got 1 actors and 200 tasks on 2 CPUs",
            id="more-tasks-than-can-be-placed",
        ),
    ],
)
def test_what_cannot_run_is_refused(resources: dict[str, float], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_pools(resources, ExecutionConfig.model_validate(options), num_shards=1000)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "actors": st.integers(1, 64),
        "prepare_tasks": st.integers(1, 64),
    },
)


@given(st.integers(1, 256), st.integers(0, 16), st.integers(1, 5000), OPTIONS)
def test_a_split_always_leaves_room_to_commit(cpus: int, gpus: int, num_shards: int, options: dict[str, Any]) -> None:
    try:
        pools = choose(cpus, gpus, num_shards, layout="split", **options)
    except ConfigError:
        return  # refused, which needs no room
    assert min(pools.actors, pools.prepare_tasks) >= 1
    assert pools.commit_cpus == COMMIT_CPUS
    assert min(pools.actor_cpus, pools.prepare_cpus) > 0
    assert reserved(pools) + units(COMMIT_CPUS) <= units(cpus)
    assert pools.actors * units(pools.actor_gpus) <= units(gpus)


@given(st.integers(1, 256), st.integers(0, 16), st.integers(1, 5000))
def test_a_split_that_the_user_fixed_nothing_of_is_never_refused(cpus: int, gpus: int, num_shards: int) -> None:
    assert choose(cpus, gpus, num_shards, layout="split").layout == "split"


@given(st.integers(1, 64), st.integers(0, 8), st.integers(1, 200))
def test_whole_places_every_actor_by_default(cpus: int, gpus: int, num_shards: int) -> None:
    pools = choose(cpus, gpus, num_shards, layout="whole")
    assert reserved(pools) <= units(cpus)
    assert pools.actors * units(pools.actor_gpus) <= units(gpus)


def test_whole_places_more_actors_than_cores() -> None:
    pools = choose(4, 0, layout="whole", actors=6)
    assert reserved(pools) <= units(4)


@pytest.mark.parametrize(
    ("gpus", "actors", "expected"), [(0, 3, 0.0), (2, 1, 1.0), (2, 2, 1.0), (1, 3, 0.3333), (2, 3, 0.6666)]
)
def test_gpus_per_actor(gpus: int, actors: int, expected: float) -> None:
    assert gpus_per_actor(gpus, actors) == expected


def test_a_cluster_of_this_machine_has_the_cpus_that_the_process_may_use() -> None:
    assert available_cpus(ExecutionConfig(num_cpus=3)) == 3
    assert available_cpus(ExecutionConfig()) == len(os.sched_getaffinity(0))
