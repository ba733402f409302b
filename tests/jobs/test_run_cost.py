from __future__ import annotations

import pytest

from jobs.attempts import AttemptRecord
from jobs.run_cost import find_cost, price_of


def attempt(started_s: float, *, num_cores: int, num_gpus: int = 0) -> AttemptRecord:
    return AttemptRecord(
        started_s=started_s,
        layout="whole",
        layout_reason="",
        actors=1,
        num_cores=num_cores,
        versions={},
        num_gpus=num_gpus,
    )


def test_attempts_add_up_each_with_its_own_machines() -> None:
    attempts = [attempt(0.0, num_cores=4), attempt(10_000.0, num_cores=8, num_gpus=2)]
    cost = find_cost(attempts, [(0.0, 3600.0), (10_000.0, 11_800.0)], prices={"cpu_core_hour": 0.5, "gpu_hour": 2.0})
    assert cost is not None
    assert (cost.core_hours, cost.gpu_hours, cost.price) == (8.0, 1.0, 6.0)


def test_nothing_is_known_of_a_run_whose_attempts_are_not() -> None:
    assert find_cost([], [(0.0, 1.0)], prices={}) is None


@pytest.mark.parametrize(
    ("prices", "gpu_hours", "expected"),
    [
        ({}, 0.0, None),
        ({"cpu_core_hour": None, "gpu_hour": None}, 0.0, None),
        ({"cpu_core_hour": 0.5, "gpu_hour": None}, 0.0, 1.0),
        ({"cpu_core_hour": 0.5, "gpu_hour": None}, 1.0, None),
        ({"cpu_core_hour": 0.0, "gpu_hour": None}, 0.0, 0.0),
        ({"cpu_core_hour": 0.5, "gpu_hour": 3.0}, 1.0, 4.0),
    ],
)
def test_a_price_needs_the_prices_of_what_was_used(
    prices: dict[str, float | None], gpu_hours: float, expected: float | None
) -> None:
    assert price_of(2.0, gpu_hours, prices=prices) == expected
