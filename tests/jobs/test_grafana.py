"""The dashboard shows metrics that there are, and is of the shape that Grafana imports."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from jobs.metrics.names import METRICS, RUN_LABELS

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "jobs" / "grafana-batch.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
SELECTOR = re.compile(r"(millrace_\w+)\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)\"")
GROUPED = re.compile(r"by \(([^)]*)\) \((?:rate\()?(millrace_\w+)")
LABELS = {metric.name: {*RUN_LABELS, *metric.labels} for metric in METRICS}
WIDTH = 24
"""Of Grafana's grid."""


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_an_expression_asks_for_what_a_run_tells(expression: str) -> None:
    selectors = SELECTOR.findall(expression)
    assert len(selectors) == len(re.findall(r"millrace_\w+", expression)) > 0
    for name, matchers in selectors:
        assert 'run_id="$run_id"' in matchers
        assert set(MATCHER.findall(matchers)) <= LABELS[name]
    for labels, name in GROUPED.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= LABELS[name]
    for opened, closed in ("()", "{}", "[]"):
        assert expression.count(opened) == expression.count(closed)


def test_counters_are_shown_as_rates_and_gauges_are_not() -> None:
    kinds = {metric.name: metric.kind for metric in METRICS}
    for name in re.findall(r"rate\((millrace_\w+)", " ".join(EXPRESSIONS)):
        assert kinds[name] == "counter"


def test_every_metric_is_shown() -> None:
    shown = set(re.findall(r"millrace_\w+", json.dumps(DASHBOARD)))
    assert shown == {metric.name for metric in METRICS}


def test_the_shape_is_that_of_a_dashboard() -> None:
    assert DASHBOARD["uid"] == "millrace-batch"
    assert DASHBOARD["schemaVersion"] >= 36  # from where a panel's data source is an object
    assert "id" not in DASHBOARD  # Grafana gives it
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


def test_the_data_source_and_the_run_are_chosen_by_the_reader() -> None:
    source, run = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (run["name"], run["type"], run["definition"]) == ("run_id", "query", run["query"]["query"])
    assert run["definition"] == "label_values(millrace_run_info, run_id)"
    for holder in (run, *PANELS, *(target for panel in PANELS for target in panel["targets"])):
        assert holder["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_fill_the_grid_and_none_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        columns, rows = (range(place[near], place[near] + place[size]) for near, size in ("xw", "yh"))
        cells = set(product(columns, rows))
        assert not cells & taken
        assert all(x < WIDTH for x, _ in cells)
        taken |= cells
    assert len(taken) == WIDTH * (max(y for _, y in taken) + 1)
    for panel in PANELS:
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert panel["fieldConfig"]["defaults"]["unit"]
