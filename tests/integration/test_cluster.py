from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage, load_package
from jobs.driver import run
from jobs.finalize import Outcome
from jobs.progress import Counter as RowCounter
from jobs.progress import LineProgress
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.integration.commands import command, commits, run_arguments
from tests.integration.ray_clusters import (
    STORE_BYTES,
    actors_by_node,
    cluster_of,
    connected,
    tasks_by_node,
)
from tests.jobs.local_run import plan_job, read_rows, run_shards
from tests.tiny_models import tiny_classifier

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns of its own settings
]

NUM_IMAGES = 45
ROWS_PER_SHARD = 3
NUM_SHARDS = 16
"""45 images and 3 bad files."""
HEAD, CPU_NODES, GPU_NODES = {0}, {1, 2}, {3, 4}
"""Numbers of the nodes of ``four_nodes``."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model whose rows tell which images shared a forward, some 10 ms for an image."""
    folder = tmp_path_factory.mktemp("model")
    return load_package(str(tiny_classifier(folder, side_px=64, depth=6, mixes_batch=True)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), NUM_IMAGES, with_bad=True)


@pytest.fixture(scope="module")
def expected(model: ModelPackage, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows that one process without Ray gives."""
    config = read_settings(
        None,
        flags={"model": model.uri, "input": [str(folder)], "output": str(tmp_path_factory.mktemp("expected"))},
        assignments=[f"execution.rows_per_shard={ROWS_PER_SHARD}"],
    )
    run_shards(config, model, plan_job(config, model))
    return read_rows(config.output)


@pytest.fixture(scope="module")
def four_nodes() -> Iterator[Cluster]:
    """A head without work, two nodes of CPUs and two with a GPU each."""
    gpu_node = {"num_cpus": 1, "num_gpus": 1}
    with cluster_of({"num_cpus": 2}, {"num_cpus": 2}, gpu_node, gpu_node) as cluster:
        yield cluster


def assignments(cluster: Cluster, **execution: Any) -> list[str]:
    """Settings of a run on a cluster."""
    options = {"address": cluster.address, "rows_per_shard": ROWS_PER_SHARD} | execution
    return ["max_error_frac=1", *(f"execution.{key}={value}" for key, value in options.items())]


def run_on(cluster: Cluster, model: ModelPackage, folder: Path, output: Path, **execution: Any) -> Outcome:
    """A run of this process."""
    flags = {"model": model.uri, "input": [str(folder)], "output": str(output)}
    config = read_settings(None, flags=flags, assignments=assignments(cluster, **execution))
    show = RowCounter(total=NUM_IMAGES + 3, done=0)
    return run(config, show=lambda state: LineProgress(show, log_format="json"))


def test_cpu_nodes_prepare_and_gpu_nodes_infer(
    four_nodes: Cluster, model: ModelPackage, folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    with connected(four_nodes):
        outcome = run_on(four_nodes, model, folder, tmp_path / "out")
        tasks = tasks_by_node(four_nodes, num_shards=NUM_SHARDS)
        actors = actors_by_node(four_nodes, "InferShards")
    assert read_rows(tmp_path / "out") == expected
    assert outcome.facts.layout_reason == "split: 2 GPUs infer while 6 CPUs prepare"
    assert actors == dict.fromkeys(GPU_NODES, 1)
    for stage in ("PrepareShards", "CommitShards"):
        assert tasks[stage].total() == NUM_SHARDS
    assert set(tasks["PrepareShards"]) & CPU_NODES
    assert not HEAD & set().union(*tasks.values())


def test_without_gpus_all_nodes_do_everything(
    four_nodes: Cluster, model: ModelPackage, folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    with connected(four_nodes):
        outcome = run_on(four_nodes, model, folder, tmp_path / "out", device="cpu")
        actors = actors_by_node(four_nodes, "WholeShards")
    assert read_rows(tmp_path / "out") == expected
    assert outcome.facts.layout == "whole"
    assert actors == {1: 2, 2: 2, 3: 1, 4: 1}, "an actor per core"


def test_one_and_two_nodes_give_the_same_rows_as_four(
    model: ModelPackage, folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    with cluster_of({"num_cpus": 2}) as cluster:
        for num_nodes in (1, 2):
            if num_nodes == 2:
                cluster.add_node(num_cpus=2, object_store_memory=STORE_BYTES)
            stages = {"whole": "WholeShards"} | ({"split": "InferShards"} if num_nodes == 2 else {})
            for layout, stage in stages.items():
                output = tmp_path / f"{layout}-{num_nodes}"
                with connected(cluster):
                    run_on(cluster, model, folder, output, layout=layout)
                    actors = actors_by_node(cluster, stage)
                assert read_rows(output) == expected
                assert actors.total() == num_nodes * (2 if layout == "whole" else 1)
                assert set(actors) <= set(range(1, num_nodes + 1))


def test_two_actors_share_a_gpu(
    four_nodes: Cluster, model: ModelPackage, folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    with connected(four_nodes):
        run_on(four_nodes, model, folder, tmp_path / "out", gpus_per_actor=0.5)
        actors = actors_by_node(four_nodes, "InferShards")
    assert read_rows(tmp_path / "out") == expected
    assert actors == dict.fromkeys(GPU_NODES, 2)


def test_a_pool_grows_while_shards_wait(four_nodes: Cluster, folder: Path, tmp_path: Path) -> None:
    # Some 500 ms for an image: there is time for an actor to start.
    slow = load_package(str(tiny_classifier(tmp_path / "slow", side_px=96, depth=200)))
    with connected(four_nodes):
        run_on(four_nodes, slow, folder, tmp_path / "out", max_actors=2)
        actors = actors_by_node(four_nodes, "InferShards")
    assert len(read_rows(tmp_path / "out")) == NUM_IMAGES + 3
    assert actors == dict.fromkeys(GPU_NODES, 1), "it began with one"


def test_two_models_share_a_cluster(
    four_nodes: Cluster,
    model: ModelPackage,
    folder: Path,
    tmp_path: Path,
    expected: list[dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    other = load_package(str(tiny_classifier(tmp_path_factory.mktemp("other"), seed=5, side_px=64, depth=6)))
    options = assignments(four_nodes, num_cpus=3, num_gpus=1)
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(command, *run_arguments(package.uri, [folder], tmp_path / package.digest[:8], *options))
            for package in (model, other)
        ]
        ended = [future.result() for future in both]
    assert [end.code for end in ended] == [0, 0], [end.err for end in ended]
    rows, others = (read_rows(tmp_path / package.digest[:8]) for package in (model, other))
    assert rows == expected
    assert len(others) == len(rows)
    assert others != rows


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        pytest.param({"actors": 3}, "execution.actors: must be at most 2 with 2 GPUs", id="more-actors-than-gpus"),
        pytest.param({"prepare_tasks": 900}, "execution: actors and prepare_tasks must leave CPUs", id="no-cpu-left"),
        pytest.param({"device": "cuda", "num_gpus": 0}, "execution.device: must be auto or cpu", id="no-gpu-left"),
    ],
)
def test_what_would_starve_a_stage_is_refused_before_it_starts(
    four_nodes: Cluster, model: ModelPackage, folder: Path, tmp_path: Path, execution: dict[str, Any], message: str
) -> None:
    if "prepare_tasks" in execution:
        execution = execution | {"rows_per_shard": 1, "prepare_tasks": 48, "num_cpus": 1}
    with connected(four_nodes), pytest.raises(ConfigError, match=message):
        run_on(four_nodes, model, folder, tmp_path / "out", **execution)
    assert not (tmp_path / "out" / "_attempts").exists()
    assert not commits(tmp_path / "out")


def test_a_cluster_of_this_machine_that_nobody_named_is_left_alone(
    four_nodes: Cluster, folder: Path, tmp_path: Path
) -> None:
    fast = tiny_classifier(tmp_path / "fast")
    ended = command(*run_arguments(fast, [folder], tmp_path / "out", "execution.num_cpus=1", "max_error_frac=1"))
    assert ended.code == 0, ended.err
    assert "whole: without GPUs" in ended.out


def test_a_gpu_that_only_counts_is_no_cuda_device(
    four_nodes: Cluster, model: ModelPackage, folder: Path, tmp_path: Path
) -> None:
    with connected(four_nodes), pytest.raises(ConfigError, match="device: must be present, got 'cuda' with 0 CUDA"):
        run_on(four_nodes, model, folder, tmp_path / "out", device="cuda")


def test_a_node_that_is_lost_costs_no_row(
    model: ModelPackage, folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    quick_to_notice = {"health_check_period_ms": 500, "health_check_failure_threshold": 2}
    gpu_node = {"num_cpus": 1, "num_gpus": 1}
    output = tmp_path / "out"
    lost: list[int] = []
    with cluster_of({"num_cpus": 2}, gpu_node, gpu_node, _system_config=quick_to_notice) as cluster:
        victim = max(cluster.worker_nodes, key=lambda node: node.plasma_store_socket_name)

        def strike(pid: int) -> None:
            """Take the last node away, once, after the first commit."""
            if not lost and (done := commits(output)):
                lost.append(done)
                cluster.remove_node(victim, allow_graceful=False)

        ended = command(*run_arguments(model.uri, [folder], output, *assignments(cluster)), watch=strike)
    assert ended.code == 0, ended.err
    assert lost, "the node was never lost"
    assert lost[0] < NUM_SHARDS, "the run was over already"
    assert read_rows(output) == expected


def test_a_cluster_that_lost_its_head_ends_the_run_with_its_reason(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Some 200 ms for an image: the run is not over before anybody notices.
    slow = tiny_classifier(tmp_path / "slow", side_px=96, depth=48)
    output = tmp_path / "out"
    struck: list[int] = []
    with cluster_of({"num_cpus": 1}) as cluster:
        head = cluster.address
        monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "8")  # else Ray waits for a minute

        def strike(pid: int) -> None:
            """Take the head away, once, after the first commit."""
            if not struck and commits(output):
                struck.append(pid)
                cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)

        ended = command(*run_arguments(slow, [folder], output, *assignments(cluster)), watch=strike)
    assert struck, "the head was never lost"
    assert ended.code == 1, ended.err
    assert f"error: the run stopped: the cluster's head at {head} must answer" in ended.err
    assert not (output / "_SUCCESS").exists()
