from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.nodes import Node, count_slots, largest_share, place, units

NODES = st.lists(st.builds(Node, cpus=st.integers(0, 64).map(float), gpus=st.integers(0, 8).map(float)), max_size=12)
CPUS = st.integers(1, 40_000).map(lambda steps: steps / 10_000)


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "expected"),
    [
        pytest.param([], 1.0, 0.0, 0, id="no-node"),
        pytest.param([(0, 0)], 1.0, 0.0, 0, id="a-head-without-work"),
        pytest.param([(1, 0)], 1.0, 0.0, 1, id="one"),
        pytest.param([(1, 0)] * 3, 2.0, 0.0, 0, id="never-over-two-nodes"),
        pytest.param([(0.5, 0), (2.5, 0)], 1.0, 0.0, 2, id="no-rest-counts"),
        pytest.param([(8, 0), (0, 2)], 0.0, 1.0, 2, id="gpus-alone"),
        pytest.param([(8, 0), (1, 2)], 1.0, 1.0, 1, id="a-gpu-and-its-core"),
        pytest.param([(4, 1)], 0.0, 0.3333, 3, id="thirds"),
        pytest.param([(1, 0)], 0.1, 0.0, 10, id="tenths-in-spite-of-floating-point"),
    ],
)
def test_slots(nodes: list[tuple[float, float]], cpus: float, gpus: float, expected: int) -> None:
    assert count_slots([Node(cpus=c, gpus=g) for c, g in nodes], cpus=cpus, gpus=gpus) == expected


@pytest.mark.parametrize(
    ("cpus", "count", "most", "expected"),
    [
        ([], 1, 1.0, 0.0),
        ([4.0], 2, 1.0, 1.0),
        ([4.0], 8, 1.0, 0.5),
        ([4.0, 1.0], 6, 1.0, 0.8),
        ([1.0] * 4, 5, 1.0, 0.5),
    ],
)
def test_the_largest_share(cpus: list[float], count: int, most: float, expected: float) -> None:
    assert largest_share([Node(cpus=each) for each in cpus], count, most=most) == expected


@given(NODES, st.integers(1, 50), CPUS)
def test_the_largest_share_fits_and_a_larger_one_does_not(nodes: list[Node], count: int, most: float) -> None:
    share = largest_share(nodes, count, most=most)
    assert 0 <= share <= most
    assert not share or count_slots(nodes, cpus=share) >= count
    assert units(share) == units(most) or count_slots(nodes, cpus=share + 0.0001) < count


@given(NODES, st.integers(0, 50), CPUS, st.sampled_from([0.0, 0.25, 1.0]))
def test_what_is_placed_is_gone_and_nothing_else(nodes: list[Node], count: int, cpus: float, gpus: float) -> None:
    left = place(nodes, count, cpus=cpus, gpus=gpus)
    placed = min(count, count_slots(nodes, cpus=cpus, gpus=gpus))
    assert sum(node.cpus for node in left) == pytest.approx(sum(node.cpus for node in nodes) - placed * cpus)
    assert sum(node.gpus for node in left) == pytest.approx(sum(node.gpus for node in nodes) - placed * gpus)
    assert all(node.cpus > -0.001 and node.gpus > -0.001 for node in left)
