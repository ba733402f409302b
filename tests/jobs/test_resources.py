from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ConfigError
from jobs.execution_config import ExecutionConfig
from jobs.nodes import Node, place, units
from jobs.pools import Pools
from jobs.resources import COMMIT_CPUS, available_cpus, choose_pools


def choose(cpus: float, gpus: float, num_shards: int = 1000, **options: Any) -> Pools:
    return choose_pools(
        {"CPU": cpus, "GPU": gpus}, ExecutionConfig.model_validate(options), num_shards=num_shards
    ).pools


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
        pytest.param(16, 1, {"gpus_per_actor": 0.25}, ("split", 4, 11), id="actors-that-share-a-gpu"),
        pytest.param(16, 2, {"gpus_per_actor": 0.5, "actors": 3}, ("split", 3, 12), id="not-all-shares-taken"),
        pytest.param(16, 2, {"num_cpus": 8, "num_gpus": 1}, ("split", 1, 6), id="a-share-of-the-cluster"),
        pytest.param(16, 2, {"num_gpus": 0}, ("whole", 16, 0), id="no-gpu-of-the-cluster"),
        pytest.param(16, 0, {"num_cpus": 4}, ("whole", 4, 0), id="a-share-of-the-cpus"),
        pytest.param(4, 1, {"max_actors": 3}, ("split", 3, 24), id="a-pool-that-grows"),
        pytest.param(0, 0, {"max_actors": 3, "device": "cuda"}, ("split", 3, 24), id="a-cluster-without-workers-yet"),
        pytest.param(0, 0, {"max_actors": 3}, ("whole", 3, 0), id="no-cpus-yet"),
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


NODES = {
    "four-cores-apart": [(1, 0)] * 4,
    "cpu-and-gpu-nodes": [(0, 0), (8, 0), (2, 1), (2, 1)],
    "gpu-nodes-without-cpus": [(8, 0), (0, 2)],
    "gpu-nodes-of-one-core": [(1, 1), (1, 1)],
    "uneven": [(1, 0), (5, 0), (3, 2)],
}


def on_nodes(shapes: list[tuple[float, float]], **options: Any) -> Pools:
    nodes = [Node(cpus=cpus, gpus=gpus) for cpus, gpus in shapes]
    totals = {"CPU": sum(node.cpus for node in nodes), "GPU": sum(node.gpus for node in nodes)}
    return choose_pools(totals, ExecutionConfig.model_validate(options), num_shards=1000, nodes=nodes).pools


def all_fit(pools: Pools, shapes: list[tuple[float, float]]) -> bool:
    """Whether Ray can run all actors, all preparing tasks and one committing task at a time."""
    left = [Node(cpus=cpus, gpus=gpus) for cpus, gpus in shapes]
    wanted = [
        (pools.actors, pools.actor_cpus, pools.actor_gpus),
        (int(pools.layout == "split"), pools.commit_cpus, 0.0),
        (pools.prepare_tasks, pools.prepare_cpus, 0.0),
    ]
    for count, cpus, gpus in wanted:
        if not count:
            continue
        after = place(left, count, cpus=cpus, gpus=gpus)
        taken = sum(units(node.cpus) for node in left) - sum(units(node.cpus) for node in after)
        if abs(taken - count * units(cpus)) > count * len(left):
            return False
        left = after
    return True


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("layout", ["split", "whole"])
def test_every_stage_finds_a_machine(name: str, layout: str) -> None:
    pools = on_nodes(NODES[name], layout=layout)
    assert all_fit(pools, NODES[name]), pools
    assert pools.actors == (sum(gpus for _, gpus in NODES[name]) or pools.actors)


def test_an_actor_per_core_of_each_machine() -> None:
    assert on_nodes([(4, 0), (1, 0), (0, 0)]).actors == 5


def test_machines_that_offer_gpus_alone_only_infer() -> None:
    pools = on_nodes([(8, 0), (0, 2)])
    assert (pools.actors, pools.actor_cpus, pools.actor_gpus) == (2, 0.0, 1.0)


def test_two_halves_of_different_gpus_make_no_whole() -> None:
    assert on_nodes([(4, 1), (4, 1)], gpus_per_actor=0.6).actors == 2


def test_an_actor_too_many_for_the_gpus_is_refused() -> None:
    message = "execution.actors: must be at most 2 with 2 GPUs and 1 of one for each actor, got 3; lower it"
    with pytest.raises(ConfigError, match=message):
        on_nodes(NODES["cpu-and-gpu-nodes"], actors=3)
    assert on_nodes(NODES["cpu-and-gpu-nodes"], actors=3, gpus_per_actor=0.5).actors == 3


def test_a_pool_is_fixed_unless_it_may_grow() -> None:
    assert choose(8, 2).min_actors == 2
    growing = choose(8, 2, max_actors=5)
    assert (growing.min_actors, growing.actors) == (1, 5)
    assert choose(8, 2, actors=2, max_actors=5).min_actors == 2


def test_a_cluster_of_this_machine_has_the_cpus_that_the_process_may_use() -> None:
    assert available_cpus(ExecutionConfig(num_cpus=3)) == 3
    assert available_cpus(ExecutionConfig()) == len(os.sched_getaffinity(0))
