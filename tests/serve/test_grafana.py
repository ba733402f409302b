"""The dashboard shows metrics that there are, and is of the shape that Grafana imports."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from serve.metrics.names import METRICS, REPLICA
from tests.dashboards import check_brackets, check_choices, check_shape, covered_cells

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "serve" / "grafana.json").read_text(encoding="utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
SERIES = re.compile(r"(millrace_\w+?)(?:_bucket|_sum|_count)?(?=[{\[\s),]|$)")
SELECTOR = re.compile(r"(millrace_\w+)\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)\"")
GROUPED = re.compile(r"by \(([^)]*)\) \((?:rate\()?(millrace_\w+?)(?:_bucket|_sum|_count)?[{\[\s)]")
LABELS = {metric.name: {REPLICA, *metric.labels} for metric in METRICS}
KINDS = {metric.name: metric.kind for metric in METRICS}
PARTS = re.compile(r"_(bucket|sum|count)$")


def family_of(series: str) -> str:
    """The metric of a series; histograms have several."""
    bare = PARTS.sub("", series)
    return bare if KINDS.get(bare) == "histogram" else series


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_an_expression_asks_for_what_a_service_tells(expression: str) -> None:
    found = re.findall(r"millrace_\w+", expression)
    assert found
    for series in found:
        assert family_of(series) in KINDS
        assert (KINDS[family_of(series)] == "histogram") == (family_of(series) != series)
    for series, matchers in SELECTOR.findall(expression):
        assert set(MATCHER.findall(matchers)) <= LABELS[family_of(series)]
    for labels, series in GROUPED.findall(expression):
        assert {label.strip() for label in labels.split(",")} - {"le"} <= LABELS[series]
    check_brackets(expression)


def test_counters_are_shown_as_rates_and_gauges_are_not() -> None:
    rated = re.findall(r"rate\((millrace_\w+)", " ".join(EXPRESSIONS))
    assert rated
    assert not [series for series in rated if KINDS[family_of(series)] == "gauge"]


def test_every_metric_is_shown() -> None:
    shown = {family_of(series) for series in re.findall(r"millrace_\w+", " ".join(EXPRESSIONS))}
    assert shown == set(KINDS)


def test_the_shape_is_that_of_a_dashboard() -> None:
    check_shape(DASHBOARD, uid="millrace-serve")


def test_the_data_source_and_the_models_are_chosen_by_the_reader() -> None:
    check_choices(DASHBOARD, name="model", definition="label_values(millrace_serve_model_loaded, model)")


def test_no_panel_covers_another() -> None:
    assert covered_cells(DASHBOARD)
