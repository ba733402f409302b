from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.report.facts import RunFacts


@pytest.mark.parametrize(
    ("planned", "ok", "failed", "skipped", "expected"),
    [
        pytest.param(0, 0, 0, 0, True, id="empty"),
        pytest.param(6, 3, 2, 1, True, id="adds-up"),
        pytest.param(6, 3, 2, 0, False, id="one-lost"),
        pytest.param(6, 4, 2, 1, False, id="one-twice"),
    ],
)
def test_the_ledger_balances_only_where_the_sums_add_up(
    facts: RunFacts, planned: int, ok: int, failed: int, skipped: int, expected: bool
) -> None:
    changed = replace(facts, num_planned=planned, num_ok=ok, num_failed=failed, num_skipped=skipped)
    assert changed.is_balanced is expected
