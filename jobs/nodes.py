"""The machines of a cluster, and what fits on them at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

UNIT = 10_000
"""Ray counts CPUs and GPUs in steps of 1/10,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What a machine offers, or what is left of it."""

    cpus: float
    gpus: float = 0.0


def fit_count(node: Node, *, cpus: float, gpus: float = 0.0) -> int:
    """How many requests fit on a node; at least one of ``cpus`` and ``gpus`` is above 0."""
    by_cpus = units(node.cpus) // units(cpus) if units(cpus) else None
    by_gpus = units(node.gpus) // units(gpus) if units(gpus) else None
    return min(count for count in (by_cpus, by_gpus) if count is not None)


def count_slots(nodes: Sequence[Node], *, cpus: float, gpus: float = 0.0) -> int:
    """How many requests fit on all nodes; one never spreads over two."""
    return sum(fit_count(node, cpus=cpus, gpus=gpus) for node in nodes)


def largest_share(nodes: Sequence[Node], count: int, *, most: float, gpus: float = 0.0) -> float:
    """The largest request of CPUs, at most ``most``, of which ``count`` fit; 0 where none does.

    Args:
        nodes: what is left of the machines.
        count: requests at a time, at least 1.
        most: CPUs that one is worth.
        gpus: GPUs that each takes besides.
    """
    low, high = 0, units(most)
    while low < high:
        middle = (low + high + 1) // 2
        if count_slots(nodes, cpus=middle / UNIT, gpus=gpus) >= count:
            low = middle
        else:
            high = middle - 1
    return low / UNIT


def place(nodes: Sequence[Node], count: int, *, cpus: float, gpus: float = 0.0) -> list[Node]:
    """What is left of the nodes once up to ``count`` requests are on them, the emptiest node always first."""
    left = list(nodes)
    for _ in range(count):
        fitting = [index for index, node in enumerate(left) if fit_count(node, cpus=cpus, gpus=gpus)]
        if not fitting:
            break
        best = max(fitting, key=lambda index: (left[index].gpus if gpus else 0.0, left[index].cpus))
        node = left[best]
        left[best] = replace(node, cpus=node.cpus - cpus, gpus=node.gpus - gpus)
    return left


def units(amount: float) -> int:
    """An amount in Ray's steps; what is below one step is dropped, but for the noise of floating point."""
    return int(amount * UNIT + 1e-6)
