"""One row for each stage: where the time went."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.stats.timings import STAGES, StageTimes, Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """Milliseconds per image in one stage; None where no image came so far."""

    stage: str
    count: int
    """Images timed."""
    total_ms: float
    share_frac: float
    """Of the time of all stages."""
    mean_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None


def stage_rows(timings: Timings) -> list[StageRow]:
    """A row for each stage, in order."""
    total_ms = timings.total_ms
    return [_stage_row(stage, timings.stages[stage], total_ms) for stage in STAGES]


def _stage_row(stage: str, times: StageTimes, total_ms: float) -> StageRow:
    return StageRow(
        stage=stage,
        count=times.moments.count,
        total_ms=times.moments.sum,
        share_frac=times.moments.sum / total_ms if total_ms else 0.0,
        mean_ms=times.moments.mean,
        p50_ms=times.sketch.quantile(0.5),
        p90_ms=times.sketch.quantile(0.9),
        p99_ms=times.sketch.quantile(0.99),
        max_ms=times.moments.maximum,
    )
