from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.quality.verdict import disagreement_of, judge, priority_of
from inference_core.quality_spec import QualitySpec
from inference_core.results import Gain, Spread

RULES = QualitySpec.model_validate(
    {
        "rules": [
            {"when": {"score": {"below": 0.6}}, "verdict": "review"},
            {"when": {"score": {"below": 0.2}}, "verdict": "reject", "reason": "knows nothing"},
            {"when": {"entropy": {"above": 0.5}, "set_size": {"above": 1}}, "verdict": "review", "reason": "unsure"},
            {"when": {"num_objects": {"below": 1}}, "verdict": "reject", "reason": "knows nothing"},
        ]
    }
)


@pytest.mark.parametrize(
    ("values", "verdict", "reasons"),
    [
        pytest.param({}, "accept", (), id="nothing-known"),
        pytest.param({"score": 0.9, "entropy": None}, "accept", (), id="good"),
        pytest.param({"score": 0.6}, "accept", (), id="at-the-threshold"),
        pytest.param({"score": 0.5}, "review", ("score below 0.6",), id="one-rule"),
        pytest.param({"score": 0.1}, "reject", ("score below 0.6", "knows nothing"), id="the-strictest-counts"),
        pytest.param({"entropy": 0.9}, "accept", (), id="half-of-a-rule"),
        pytest.param({"entropy": 0.9, "set_size": 2}, "review", ("unsure",), id="whole-rule"),
        pytest.param({"entropy": 0.9, "set_size": None}, "accept", (), id="value-that-is-not-there"),
        pytest.param({"num_objects": 0, "score": None}, "reject", ("knows nothing",), id="no-objects"),
        pytest.param(
            {"num_objects": 0, "score": 0.1}, "reject", ("score below 0.6", "knows nothing"), id="a-reason-only-once"
        ),
    ],
)
def test_rules_give_a_verdict_and_its_reasons(values: Any, verdict: str, reasons: tuple[str, ...]) -> None:
    assert judge(RULES, values) == (verdict, reasons)


@pytest.mark.parametrize(
    ("task", "values", "priority"),
    [
        pytest.param("classification", {}, 0.0, id="nothing-known"),
        pytest.param("classification", {"entropy": 0.25, "score": 0.5}, 0.25, id="entropy"),
        pytest.param("classification", {"entropy": 0.25, "mutual_information": 0.75}, 0.5, id="and-disagreement"),
        pytest.param(
            "classification", {"entropy": 0.5, "mutual_information": None, "disagreement": 1}, 0.75, id="view"
        ),
        pytest.param("segmentation", {"score": 0.75}, 0.25, id="scores-of-pixels"),
        pytest.param("segmentation", {"score": 0.75, "uncertainty": 0.5}, 0.5, id="uncertainty-of-pixels"),
        pytest.param("detection", {"score": 0.75, "score_mean": 0.5}, 0.5, id="mean-of-objects"),
        pytest.param("detection", {"score": None, "score_mean": None}, 0.0, id="no-objects"),
    ],
)
def test_what_is_uncertain_and_disagreeing_comes_first(task: str, values: Any, priority: float) -> None:
    assert priority_of(values, task=task) == priority


@given(st.dictionaries(st.sampled_from(["entropy", "score", "disagreement"]), st.none() | st.floats(0, 1)))
def test_priorities_lie_between_0_and_1(values: Any) -> None:
    assert 0 <= priority_of(values, task="classification") <= 1


def test_the_view_that_changes_most_tells_the_disagreement() -> None:
    gains = tuple(Gain(name="x", changed_frac=frac, score_shift=0.0) for frac in (0.25, 0.75, 0.5))
    assert disagreement_of(Spread(gains=gains)) == 0.75
    assert disagreement_of(Spread()) is None
