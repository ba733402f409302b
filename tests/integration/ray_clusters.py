"""Ray clusters of several nodes on this machine, with GPUs that only count, and where their tasks ran."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import ray
from ray._private import state as ray_state
from ray.cluster_utils import Cluster
from ray.core.generated.common_pb2 import TaskStatus

ROOT = Path(__file__).resolve().parents[2]
STORE_BYTES = 80 * 1024 * 1024
patched = pytest.MonkeyPatch.context
STAGES = ("PrepareShards", "CommitShards")
"""Those that are tasks. Actors may end before they report their last calls: see ``actors_by_node``."""
EVENTS_PATIENCE_S = 60.0
"""Workers report what they ran ten times a second, and later where the machine is busy."""


@contextmanager
def cluster_of(*shapes: dict[str, float], **head: Any) -> Iterator[Cluster]:
    """A head without work and a node for each shape (``num_cpus``, ``num_gpus``); shut down at the end."""
    # Below a folder of its own Ray notes which cluster is this one; else jobs that are submitted would join the newest
    # of the machine. Paths of sockets are short.
    with TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder, patched() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        # As in a shell where the environment is active. Nodes and their workers have no other way to these.
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        patch.setenv("RAY_task_events_report_interval_ms", "100")
        # Ports of their own: where Ray finds its usual ones taken, by another cluster of this machine, it leaves a
        # socket open, and its jobs cannot be submitted.
        ports = {"dashboard_port": 0, "dashboard_agent_listen_port": 0}
        fixed = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False, **ports}
        cluster = Cluster(initialize_head=True, head_node_args=fixed | head)
        try:
            for shape in shapes:
                cluster.add_node(object_store_memory=STORE_BYTES, wait=False, **shape)
            cluster.wait_for_nodes()
            yield cluster
        finally:
            cluster.shutdown()


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """This process as a driver of the cluster, which runs in this process reuse."""
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


def tasks_by_node(cluster: Cluster, *, num_shards: int) -> dict[str, Counter[int]]:
    """How many tasks of each stage ran on each node of a cluster, by the node's number; of the connected driver.

    Args:
        cluster: its head has number 0, its workers follow in the order in which they were added.
        num_shards: wait until so many tasks of each stage were reported.
    """
    deadline_s = time.monotonic() + EVENTS_PATIENCE_S
    while True:
        found = count_tasks(nodes_in_order(cluster))
        if min(stage.total() for stage in found.values()) >= num_shards or time.monotonic() > deadline_s:
            return found
        time.sleep(0.2)


def count_tasks(nodes: Sequence[Any]) -> dict[str, Counter[int]]:
    """What Ray's own task events tell: each names the node, also where its worker has ended since."""
    numbers = {node.node_id: number for number, node in enumerate(nodes)}
    counts: dict[str, Counter[int]] = {stage: Counter() for stage in STAGES}
    for event in ray_state.state._get_all_task_events():
        node = numbers.get(event.state_updates.node_id.hex())
        stage = next((stage for stage in STAGES if stage in event.task_info.name), None)
        if stage and node is not None and TaskStatus.FINISHED in event.state_updates.state_ts_ns:
            counts[stage][node] += 1
    return counts


def actors_by_node(cluster: Cluster, stage: str) -> Counter[int]:
    """How many actors of a stage there were on each node, of the connected driver."""
    job = ray.get_runtime_context().get_job_id()
    numbers = {node.node_id: number for number, node in enumerate(nodes_in_order(cluster))}
    actors = ray_state.state.actor_table(None).values()
    return Counter(
        numbers[actor["Address"]["NodeID"]]
        for actor in actors
        if stage in actor["ActorClassName"] and actor["JobID"] == job and actor["Address"]["NodeID"] in numbers
    )


def nodes_in_order(cluster: Cluster) -> list[Any]:
    """The head, then the workers by the order in which they were added."""
    return [cluster.head_node, *sorted(cluster.worker_nodes, key=lambda node: node.plasma_store_socket_name)]
