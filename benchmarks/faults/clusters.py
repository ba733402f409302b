"""A cluster of several nodes on this machine whose nodes and workers can be taken away."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from process_tree import descendants
from ray.cluster_utils import Cluster

from tests.integration.commands import name_of
from tests.integration.ray_clusters import STORE_BYTES, cluster_of

SHAPES: tuple[dict[str, float], ...] = ({"num_cpus": 2}, {"num_cpus": 1, "num_gpus": 1}, {"num_cpus": 1, "num_gpus": 1})
"""Three machines beside a head without work; the GPUs only count."""
QUICK_TO_NOTICE = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}


class ChaosCluster:
    """Started when it is first needed, and anew once it is lost."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._cluster: Cluster | None = None
        self._nodes: list[tuple[Any, dict[str, float]]] = []

    @property
    def address(self) -> str:
        """Of a cluster with all its nodes."""
        if self._cluster is None:
            self._cluster = self._stack.enter_context(cluster_of(*SHAPES, _system_config=QUICK_TO_NOTICE))
            nodes = sorted(self._cluster.worker_nodes, key=lambda node: node.plasma_store_socket_name)
            self._nodes = list(zip(nodes, SHAPES, strict=True))
        return str(self._cluster.address)

    def kill_node(self, *, has_gpu: bool, replaced: bool) -> None:
        """Take a machine away at once.

        Args:
            has_gpu: which one.
            replaced: whether another comes at once.
        """
        assert self._cluster is not None, "a run is on it"
        victim = next(pair for pair in self._nodes if ("num_gpus" in pair[1]) == has_gpu)
        self._nodes.remove(victim)
        self._cluster.remove_node(victim[0], allow_graceful=False)
        if replaced:
            self.mend()

    def mend(self) -> None:
        """Bring back the machines that were taken away."""
        if self._cluster is None:
            return
        missing = list(SHAPES)
        for _, shape in self._nodes:
            missing.remove(shape)
        for shape in missing:
            node = self._cluster.add_node(object_store_memory=STORE_BYTES, wait=False, **shape)
            self._nodes.append((node, shape))

    def kill_head(self) -> None:
        """Take the head away, and with it the cluster."""
        assert self._cluster is not None, "a run is on it"
        self._cluster.head_node.kill_all_processes(check_alive=False, allow_graceful=False)

    def forget(self) -> None:
        """Clear what is left of the cluster away; the next run gets a new one."""
        self._stack.close()
        self._cluster, self._nodes = None, []

    def workers(self, name: str) -> list[int]:
        """Processes that work at something, by a part of its name, sorted."""
        raylets = [node.all_processes["raylet"][0].process.pid for node, _ in self._nodes]
        return workers_below(raylets, name)


def workers_below(roots: list[int], name: str) -> list[int]:
    """Processes below some that work at something, by a part of its name, sorted."""
    return sorted(pid for root in roots for pid in descendants(root) if name in name_of(pid))
