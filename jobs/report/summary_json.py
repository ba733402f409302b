"""``summary.json``: every figure of the report for programs.

All that differs between two runs over the same images stands in the blocks ``timings`` and ``run``.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from inference_core.stats.forwards import ForwardStats
from inference_core.stats.histogram import UnitHistogram
from inference_core.stats.moments import Moments
from inference_core.stats.sketch import QuantileSketch
from inference_core.stats.summary import Summary
from jobs.report.class_table import class_rows, label_of
from jobs.report.facts import RunFacts
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
        "review": [{**asdict(entry), "label": label_of(summary, entry.class_id)} for entry in summary.review.entries],
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


def quantile_block(sketch: QuantileSketch) -> dict[str, float | None]:
    """Quantiles within 1 %."""
    return {name: sketch.quantile(q_frac) for name, q_frac in QUANTILES.items()}


def run_block(facts: RunFacts) -> dict[str, Any]:
    """The run's own facts."""
    own = {key: value for key, value in asdict(facts).items() if key != "drift"}
    return {**own, "is_balanced": facts.is_balanced}
