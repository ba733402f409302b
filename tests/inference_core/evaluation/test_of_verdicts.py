from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.evaluation.metrics.intervals import wilson
from inference_core.evaluation.of_verdicts import evaluate_verdicts, risk_curve

CASES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5]) | st.floats(0, 1)), min_size=1, max_size=9
)


def reals(*values: float) -> Any:
    return np.array(values, np.float64)


def test_no_images_have_no_errors() -> None:
    found = evaluate_verdicts(reals(), [], reals(), error_name="x")
    assert [(row.verdict, row.num_images, row.interval) for row in found.rows] == [
        ("accept", 0, None),
        ("review", 0, None),
        ("reject", 0, None),
        ("all", 0, None),
    ]
    assert found.record()["aurc"] is None
    assert found.record()["risk_coverage"] == []


def test_errors_are_told_by_verdict() -> None:
    verdicts = ["accept", "accept", "review", "review", "reject"]
    found = evaluate_verdicts(reals(0, 0, 1, 0, 1), verdicts, reals(0, 0.1, 0.5, 0.4, 0.9), error_name="wrong class")
    assert [(row.num_images, row.frac, row.error) for row in found.rows] == [
        (2, 0.4, 0.0),
        (2, 0.4, 0.5),
        (1, 0.2, 1.0),
        (5, 1.0, 0.4),
    ]
    assert found.rows[1].interval == wilson(1, 2)
    record = found.record()
    assert record["error"] == "wrong class"
    assert record["by_verdict"][0]["verdict"] == "accept"
    assert found.risk_at[-1] == (1.0, pytest.approx(0.4))


def test_errors_that_are_no_matter_of_right_and_wrong_are_drawn() -> None:
    errors = np.linspace(0, 0.5, 50)
    row = evaluate_verdicts(errors, ["accept"] * 50, errors, error_name="x").rows[0]
    assert row.interval is not None
    assert row.interval.low < row.error < row.interval.high
    # The mean of 50 draws has a standard error of 0.5 / sqrt(12 * 50): the interval is four of them wide, about.
    assert row.interval.high - row.interval.low == pytest.approx(4 * 0.5 / np.sqrt(12 * 50), rel=0.25)


@given(CASES)
def test_the_curve_is_the_mean_error_of_the_first(cases: list[tuple[float, float]]) -> None:
    errors, priorities = (np.array(column) for column in zip(*cases, strict=True))
    found = risk_curve(errors, priorities)
    assert found[-1] == pytest.approx(errors.mean())
    for count, risk in enumerate(found.tolist(), start=1):
        limit = np.sort(priorities)[count - 1]
        surely, maybe = errors[priorities < limit], errors[priorities == limit]
        expected = (surely.sum() + (count - len(surely)) * maybe.mean()) / count
        assert risk == pytest.approx(expected, abs=1e-9)


def test_priorities_that_say_nothing_give_the_mean_error_everywhere() -> None:
    found = evaluate_verdicts(reals(0, 1, 1, 0), ["accept"] * 4, reals(1, 1, 1, 1), error_name="x")
    assert found.aurc == 0.5
    assert {error for _, error in found.risk_at} == {0.5}


def test_priorities_that_know_all_put_errors_last() -> None:
    errors = reals(0, 0, 1, 1)
    best = evaluate_verdicts(errors, ["accept"] * 4, errors, error_name="x").aurc
    worst = evaluate_verdicts(errors, ["accept"] * 4, -errors, error_name="x").aurc
    assert best == pytest.approx((0 + 0 + 1 / 3 + 0.5) / 4)
    assert worst == pytest.approx((1 + 1 + 2 / 3 + 0.5) / 4)
