"""How long images spent in each stage: the only part of a summary that differs between two equal runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.stats.json_record import NO_EXTRA
from inference_core.stats.moments import Moments
from inference_core.stats.sketch import QuantileSketch

STAGES = ("fetch", "prepare", "infer", "finish")
"""The stages of an image, in order; the columns are ``fetch_ms`` and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Milliseconds per image in one stage."""

    __pydantic_config__ = NO_EXTRA

    moments: Moments
    """Sum, count, largest and so on."""
    sketch: QuantileSketch
    """Quantiles."""

    @classmethod
    def of(cls, times_ms: NDArray[np.float64]) -> StageTimes:
        """Fold (N,) milliseconds. A time of 0 says that the image never came so far, and is left out."""
        spent = times_ms[times_ms > 0]
        return cls(moments=Moments.of(spent), sketch=QuantileSketch.of(spent))

    def merge(self, other: StageTimes) -> StageTimes:
        """The times of both. Exact, associative and commutative."""
        return StageTimes(moments=self.moments.merge(other.moments), sketch=self.sketch.merge(other.sketch))


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """The times of all stages. Unlike everything else in a summary they are measured, not computed."""

    __pydantic_config__ = NO_EXTRA

    stages: Mapping[str, StageTimes]
    """One entry for each of STAGES."""

    def __post_init__(self) -> None:
        if set(self.stages) != set(STAGES):
            raise ValueError(f"stages must be {', '.join(STAGES)}, got {', '.join(self.stages)}")

    @classmethod
    def empty(cls) -> Timings:
        """No image timed."""
        return cls.of({stage: np.empty(0) for stage in STAGES})

    @classmethod
    def of(cls, times_ms: Mapping[str, NDArray[np.float64]]) -> Timings:
        """Fold (N,) milliseconds for each of STAGES."""
        return cls(stages={stage: StageTimes.of(times) for stage, times in times_ms.items()})

    def merge(self, other: Timings) -> Timings:
        """The times of both. Exact, associative and commutative."""
        return Timings(stages={stage: self.stages[stage].merge(other.stages[stage]) for stage in STAGES})

    @property
    def total_ms(self) -> float:
        """Milliseconds of all images in all stages."""
        return sum(self.stages[stage].moments.sum for stage in STAGES)
