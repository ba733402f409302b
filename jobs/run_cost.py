"""What a run has used of machines, and what that costs at the price table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.attempts import AttemptRecord, work_of_attempts
from jobs.report.facts import RunCost


def find_cost(
    attempts: Sequence[AttemptRecord], spans_s: Sequence[tuple[float, float]], *, prices: Mapping[str, Any]
) -> RunCost | None:
    """Add up what all attempts held.

    Args:
        attempts: commands that worked on the run.
        spans_s: beginning and end of each committed shard, seconds since 1970.
        prices: ``prices`` of the run's settings.

    Returns:
        None where no attempt was noted. What an attempt held after its last commit does not count, nor does a machine
        that stood idle.
    """
    if not attempts:
        return None
    worked = work_of_attempts(attempts, spans_s)
    core_hours = sum(attempt.num_cores * worked[attempt.started_s] for attempt in attempts) / 3600
    gpu_hours = sum(attempt.num_gpus * worked[attempt.started_s] for attempt in attempts) / 3600
    return RunCost(core_hours=core_hours, gpu_hours=gpu_hours, price=price_of(core_hours, gpu_hours, prices=prices))


def price_of(core_hours: float, gpu_hours: float, *, prices: Mapping[str, Any]) -> float | None:
    """The price in the currency of the table; None where it lacks one that is needed."""
    needed = [(core_hours, prices.get("cpu_core_hour")), (gpu_hours, prices.get("gpu_hour"))]
    if all(price is None for _, price in needed) or any(hours and price is None for hours, price in needed):
        return None
    return float(sum(hours * price for hours, price in needed if price is not None))
