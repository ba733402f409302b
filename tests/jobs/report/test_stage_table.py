from __future__ import annotations

import pytest

from inference_core.stats.summary import Summary
from jobs.report.stage_table import stage_rows


def test_shares_are_of_the_time_of_all_stages(classified: Summary) -> None:
    rows = stage_rows(classified.timings)
    assert [(row.stage, row.share_frac) for row in rows] == [
        ("fetch", 0.4),
        ("prepare", 0.3),
        ("infer", 0.2),
        ("finish", 0.1),
    ]
    infer = rows[2]
    assert (infer.count, infer.total_ms, infer.mean_ms, infer.max_ms) == (3, 6.0, 2.0, 2.0)
    assert infer.p50_ms == infer.p99_ms == pytest.approx(2.0, rel=0.01)


def test_no_times_give_rows_of_nothing(nothing: Summary) -> None:
    assert {(row.count, row.share_frac, row.mean_ms, row.p50_ms) for row in stage_rows(nothing.timings)} == {
        (0, 0.0, None, None)
    }
