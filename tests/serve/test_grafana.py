"""The dashboard shows metrics that there are, and is of the shape that Grafana imports."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from serve.metrics.names import METRICS, REPLICA

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "serve" / "grafana.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
SERIES = re.compile(r"(millrace_\w+?)(?:_bucket|_sum|_count)?(?=[{\[\s),]|$)")
SELECTOR = re.compile(r"(millrace_\w+)\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)\"")
GROUPED = re.compile(r"by \(([^)]*)\) \((?:rate\()?(millrace_\w+?)(?:_bucket|_sum|_count)?[{\[\s)]")
LABELS = {metric.name: {REPLICA, *metric.labels} for metric in METRICS}
KINDS = {metric.name: metric.kind for metric in METRICS}
PARTS = re.compile(r"_(bucket|sum|count)$")
WIDTH = 24
"""Of Grafana's grid."""


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
    for opened, closed in ("()", "{}", "[]"):
        assert expression.count(opened) == expression.count(closed)


def test_counters_are_shown_as_rates_and_gauges_are_not() -> None:
    rated = re.findall(r"rate\((millrace_\w+)", " ".join(EXPRESSIONS))
    assert rated
    assert not [series for series in rated if KINDS[family_of(series)] == "gauge"]


def test_every_metric_is_shown() -> None:
    shown = {family_of(series) for series in re.findall(r"millrace_\w+", " ".join(EXPRESSIONS))}
    assert shown == set(KINDS)


def test_the_shape_is_that_of_a_dashboard() -> None:
    assert DASHBOARD["uid"] == "millrace-serve"
    assert DASHBOARD["schemaVersion"] >= 36  # from where a panel's data source is an object
    assert "id" not in DASHBOARD  # Grafana gives it
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]


def test_the_data_source_and_the_models_are_chosen_by_the_reader() -> None:
    source, model = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert model["definition"] == "label_values(millrace_serve_model_loaded, model)" == model["query"]["query"]
    shown = [panel for panel in PANELS if panel["type"] != "row"]
    for holder in (model, *shown, *(target for panel in shown for target in panel["targets"])):
        assert holder["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        columns, rows = (range(place[near], place[near] + place[size]) for near, size in ("xw", "yh"))
        cells = set(product(columns, rows))
        assert not cells & taken
        assert all(x < WIDTH for x, _ in cells)
        taken |= cells
