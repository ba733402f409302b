"""How far a figure may be off because only so many images were labelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

LEVEL_FRAC = 0.95
"""Share of repetitions whose interval would hold the true value."""
RESAMPLES = 1000
MIN_RESAMPLES = 100
MAX_DRAWS = 20_000_000
"""Random numbers of one bootstrap: of more images fewer resamples are drawn, whose ends are close together anyway."""

Weights = NDArray[np.int64]
"""(N,) how often each image was drawn; sums to N."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where a figure may lie."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.3f} to {self.high:.3f}"


def wilson(successes: int, trials: int, *, level_frac: float = LEVEL_FRAC) -> Interval | None:
    """The interval of a share; None of nothing.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22, 1927.
    """
    if trials == 0:
        return None
    z = float(ndtri(0.5 + level_frac / 2))
    share = successes / trials
    center = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # At its ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if successes == 0 else max(0.0, float(center - reach))
    return Interval(low=low, high=1.0 if successes == trials else min(1.0, float(center + reach)))


def bootstrap(
    statistic: Callable[[Weights], Mapping[str, float]],
    *,
    num_images: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level_frac: float = LEVEL_FRAC,
) -> dict[str, Interval]:
    """The intervals of figures that are no shares, by drawing images with replacement.

    Args:
        statistic: the figures of the images drawn; one that is not finite counts in no interval.
        num_images: N, of which N are drawn each time.
        seed: of the draws; equal seeds give equal intervals.
        resamples: at most so many; fewer of very many images.
        level_frac: share of the draws between the ends.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3 (percentile interval).
    """
    if num_images == 0:
        return {}
    random = np.random.default_rng(seed)
    count = max(min(resamples, MAX_DRAWS // num_images), MIN_RESAMPLES)
    found: dict[str, list[float]] = {}
    for _ in range(count):
        drawn = np.bincount(random.integers(0, num_images, num_images), minlength=num_images)
        for name, value in statistic(drawn).items():
            if np.isfinite(value):
                found.setdefault(name, []).append(value)
    tail = (1 - level_frac) / 2
    ends = {name: np.quantile(values, [tail, 1 - tail]) for name, values in found.items()}
    return {name: Interval(low=float(low), high=float(high)) for name, (low, high) in ends.items()}
