"""``summary.json``: every figure of the report for programs.

All that differs between two runs over the same images stands in the blocks ``timings`` and ``run``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from inference_core.stats.forwards import ForwardStats
from inference_core.stats.grid import Grid, column_edges
from inference_core.stats.histogram import UnitHistogram
from inference_core.stats.moments import Moments
from inference_core.stats.quality import QualityStats
from inference_core.stats.summary import Summary
from inference_core.stats.unit_sketch import UnitSketch
from jobs.report.class_table import class_rows
from jobs.report.effect_lines import effects_block
from jobs.report.facts import RunFacts
from jobs.report.review_rows import ReviewRow, review_rows
from jobs.report.stage_table import stage_rows

SCHEMA = 2
QUANTILES = {"p01": 0.01, "p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}


def summary_json(summary: Summary, facts: RunFacts) -> bytes:
    """The file's content: UTF-8, keys sorted, a newline at the end."""
    stages = {row.stage: asdict(row) for row in stage_rows(summary.timings)}
    drift = {"drift": facts.drift.record()} if facts.drift else {}
    data = {**image_block(summary), **drift, "timings": stages, "run": run_block(facts)}
    return (json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def image_block(summary: Summary) -> dict[str, Any]:
    """All that is a function of images and model alone."""
    return {
        "schema": SCHEMA,
        "task": summary.task,
        "num_rows": summary.num_rows,
        "status": dict(summary.status),
        "total_bytes": summary.total_bytes,
        "total_pixels": summary.total_pixels,
        "formats": dict(summary.formats),
        "decoders": dict(summary.decoders),
        "classes": [asdict(row) for row in class_rows(summary)],
        "quantities": {name: moments_block(part) for name, part in summary.moments.items()},
        "histograms": {name: histogram_block(part) for name, part in summary.histograms.items()},
        "score_quantiles": quantile_block(summary.score_sketch),
        **forwards_block(summary.forwards),
        **quality_block(summary.quality),
        **grids_block(summary.grids),
        **({"postprocess": effects} if (effects := effects_block(summary)) else {}),
        "review": [review_block(row) for row in review_rows(summary)],
    }


def forwards_block(forwards: ForwardStats) -> dict[str, Any]:
    """What several forwards bring; nothing where each answer is of one."""
    if not forwards.gains and not forwards.quantities:
        return {}
    gains = [
        {
            "name": gain.name,
            "changed_frac": moments_block(gain.changed_frac),
            "score_shift": moments_block(gain.score_shift),
        }
        for gain in forwards.gains
    ]
    quantities = {name: moments_block(part) for name, part in forwards.quantities.items()}
    return {"forwards": {"gains": gains, "quantities": quantities}}


def review_block(row: ReviewRow) -> dict[str, Any]:
    """One image to look at, without what it has not; its rank is its place in the list."""
    left_out = ("rank",) if row.verdict else ("rank", "verdict", "reasons", "priority")
    return {key: value for key, value in asdict(row).items() if key not in left_out}


def quality_block(quality: QualityStats) -> dict[str, Any]:
    """What statistics and verdicts say of the run; nothing where the package asks for neither."""
    block: dict[str, Any] = {}
    if quality.quantities:
        block["statistics"] = {name: moments_block(part) for name, part in quality.quantities.items()}
    if quality.verdicts:
        block["quality"] = {"verdicts": dict(quality.verdicts), "reasons": dict(quality.reasons)}
    return block


def grids_block(grids: Mapping[str, Grid]) -> dict[str, Any]:
    """Uncertainty by the images' properties: edges, and counts of each column; nothing without statistics."""
    blocks = {
        name: {"edges": column_edges(grid.axis).tolist(), "counts": grid.dense().tolist()}
        for name, grid in grids.items()
    }
    return {"uncertainty_by": blocks} if blocks else {}


def moments_block(moments: Moments) -> dict[str, Any]:
    """Count, mean, spread and ends of one quantity; null where there is no value."""
    return {
        "count": moments.count,
        "num_not_finite": moments.num_not_finite,
        "mean": moments.mean,
        "std": moments.std,
        "minimum": moments.minimum,
        "maximum": moments.maximum,
    }


def histogram_block(histogram: UnitHistogram) -> dict[str, Any]:
    """Equal bins between two ends."""
    return {"low": 0.0, "high": 1.0, "counts": list(histogram.counts)}


def quantile_block(sketch: UnitSketch) -> dict[str, float | None]:
    """Quantiles within 1 % of the score or of what it lacks to 1, whichever is less."""
    return {name: sketch.quantile(q_frac) for name, q_frac in QUANTILES.items()}


def run_block(facts: RunFacts) -> dict[str, Any]:
    """The run's own facts."""
    own = {key: value for key, value in asdict(facts).items() if key != "drift"}
    return {**own, "is_balanced": facts.is_balanced}
