"""What a run will take, computed from a probe of its input and the resources that it will have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.afterwards_config import PricesConfig
from jobs.bottleneck import STAGES_OF_POOL, WORK, Bottleneck, Workers, find_bottleneck
from jobs.tuner import Probe

EFFICIENCY = 0.85
"""Of the bound that runs reach, as measured: see docs/performance.md. The rest is Ray, the disk and the last shards."""
RAY_START_S = 8.0
"""Start and end of a Ray of the run's own, as measured there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A run before it has begun."""

    bound_images_per_s: float
    """What the workers could do without anything between the stages."""
    images_per_s: float
    duration_s: float
    output_bytes: float
    bottleneck: Bottleneck
    cost_per_million: float | None
    """In the currency of the prices; None where none are given."""


def estimate_run(
    probe: Probe,
    workers: Workers,
    *,
    num_rows: int,
    levers: Mapping[str, str],
    prices: PricesConfig,
    price_per_hour: float | None = None,
    starts_ray: bool,
) -> Estimate:
    """Compute the time of a run.

    Args:
        probe: what a sample took.
        workers: how many will work at a time.
        num_rows: images to do, at least one.
        levers: see ``find_levers``.
        prices: of cores and GPUs.
        price_per_hour: of the whole cluster, instead of them.
        starts_ray: whether the command starts a Ray of its own.
    """
    bound = bound_images_per_s(probe.stage_ms, workers)
    rate = EFFICIENCY * bound
    working_s = num_rows / rate
    duration_s = working_s + RAY_START_S * starts_ray
    return Estimate(
        bound_images_per_s=bound,
        images_per_s=rate,
        duration_s=duration_s,
        output_bytes=probe.output_bytes * num_rows,
        bottleneck=find_bottleneck(
            {stage: probe.stage_ms[stage] / 1000 * num_rows for stage in WORK},
            workers,
            pool_s={pool: workers.slots(pool) * working_s for pool in STAGES_OF_POOL[workers.layout]},
            images_per_s=rate,
            levers=levers,
            verb="will hold the run back",
        ),
        cost_per_million=cost_per_million(rate, workers, prices=prices, price_per_hour=price_per_hour),
    )


def bound_images_per_s(stage_ms: Mapping[str, float], workers: Workers) -> float:
    """The rate of the slowest pool; and no more than the cores can do, where pools share them."""
    rates = [
        1000 * workers.slots(pool) / max(sum(stage_ms[stage] for stage in stages), 1e-6)
        for pool, stages in STAGES_OF_POOL[workers.layout].items()
    ]
    on_cores = [stage for stage in WORK if stage != "fetch" and not (stage == "infer" and workers.num_gpus)]
    cores_ms = max(sum(stage_ms[stage] for stage in on_cores), 1e-6)
    return min(*rates, 1000 * workers.num_cores / cores_ms)


def cost_per_million(
    images_per_s: float, workers: Workers, *, prices: PricesConfig, price_per_hour: float | None
) -> float | None:
    """The price of a million images at a rate; None where no price that counts is given."""
    if price_per_hour is None:
        needed = [(workers.num_cores, prices.cpu_core_hour), (workers.num_gpus, prices.gpu_hour)]
        given = [count * price for count, price in needed if price is not None]
        if not given or any(count and price is None for count, price in needed):
            return None
        price_per_hour = sum(given)
    return price_per_hour / 3600 * 1e6 / images_per_s
