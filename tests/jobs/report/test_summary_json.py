from __future__ import annotations

import json
from dataclasses import replace

import pytest

from inference_core.stats.summary import Summary
from jobs.report.facts import RunFacts
from jobs.report.summary_json import summary_json


def test_figures_are_there(classified: Summary, facts: RunFacts) -> None:
    data = json.loads(summary_json(classified, facts))
    assert (data["task"], data["num_rows"], data["total_pixels"]) == ("classification", 5, 600)
    assert (data["status"]["ok"], data["status"]["decode_error"]) == (3, 1)
    assert (data["classes"][0]["label"], data["classes"][0]["images"]) == ("cat", 2)
    assert data["quantities"]["score"]["mean"] == 0.5
    assert sum(data["histograms"]["score"]["counts"]) == 3
    assert data["score_quantiles"]["p50"] == pytest.approx(0.5, rel=0.01)
    assert (data["review"][0]["score"], data["review"][0]["label"]) == (0.25, "<script>alert(1)</script>")
    assert data["timings"]["infer"]["mean_ms"] == 2.0
    assert (data["run"]["num_planned"], data["run"]["is_balanced"]) == (6, True)


def test_statistics_and_verdicts_are_there_where_they_are_asked_for(
    classified: Summary, judged: Summary, facts: RunFacts
) -> None:
    plain, data = json.loads(summary_json(classified, facts)), json.loads(summary_json(judged, facts))
    assert data["quality"]["verdicts"] == {"accept": 1, "review": 1, "reject": 1}
    assert data["quality"]["reasons"] == {"=SUM(A1)": 1, "close": 1, "knows nothing": 1}
    assert (data["statistics"]["margin"]["mean"], data["statistics"]["margin"]["count"]) == (0.25, 3)
    assert [entry["verdict"] for entry in data["review"]] == ["review", "reject"]
    assert (data["review"][0]["reasons"], data["review"][0]["priority"]) == (["=SUM(A1)", "close"], 0.75)
    assert not {"quality", "statistics"} & set(plain)
    assert set(plain["review"][0]) == {"image_id", "uri", "score", "class_id", "label"}


def test_two_runs_over_the_same_images_differ_in_timings_and_run_only(
    classified: Summary, slower: Summary, facts: RunFacts
) -> None:
    other_facts = replace(facts, run_id="run-2", num_attempts=3, wall_s=99.0)
    first, second = json.loads(summary_json(classified, facts)), json.loads(summary_json(slower, other_facts))
    assert {key for key in first if first[key] != second[key]} == {"timings", "run"}


def test_the_text_is_pretty_sorted_and_ends_its_line(classified: Summary, facts: RunFacts) -> None:
    text = summary_json(classified, facts).decode("ascii")
    data = json.loads(text)
    assert text == json.dumps(data, indent=2, sort_keys=True) + "\n"


def test_an_empty_run_has_null_and_no_nan(nothing: Summary, facts: RunFacts) -> None:
    text = summary_json(nothing, facts).decode()
    assert "NaN" not in text
    assert json.loads(text)["quantities"]["score"]["mean"] is None
