"""The dashboard shows metrics that there are, and is of the shape that Grafana imports."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jobs.metrics.names import METRICS, RUN_LABELS
from tests.dashboards import GRID_WIDTH, check_brackets, check_choices, check_shape, covered_cells

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "jobs" / "grafana-batch.json").read_text(encoding="utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
SELECTOR = re.compile(r"(millrace_\w+)\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)\"")
GROUPED = re.compile(r"by \(([^)]*)\) \((?:rate\()?(millrace_\w+)")
LABELS = {metric.name: {*RUN_LABELS, *metric.labels} for metric in METRICS}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_an_expression_asks_for_what_a_run_tells(expression: str) -> None:
    selectors = SELECTOR.findall(expression)
    assert len(selectors) == len(re.findall(r"millrace_\w+", expression)) > 0
    for name, matchers in selectors:
        assert 'run_id="$run_id"' in matchers
        assert set(MATCHER.findall(matchers)) <= LABELS[name]
    for labels, name in GROUPED.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= LABELS[name]
    check_brackets(expression)


def test_counters_are_shown_as_rates_and_gauges_are_not() -> None:
    kinds = {metric.name: metric.kind for metric in METRICS}
    for name in re.findall(r"rate\((millrace_\w+)", " ".join(EXPRESSIONS)):
        assert kinds[name] == "counter"


def test_every_metric_is_shown() -> None:
    shown = set(re.findall(r"millrace_\w+", json.dumps(DASHBOARD)))
    assert shown == {metric.name for metric in METRICS}


def test_the_shape_is_that_of_a_dashboard() -> None:
    check_shape(DASHBOARD, uid="millrace-batch")


def test_the_data_source_and_the_run_are_chosen_by_the_reader() -> None:
    check_choices(DASHBOARD, name="run_id", definition="label_values(millrace_run_info, run_id)")


def test_panels_fill_the_grid_and_none_covers_another() -> None:
    taken = covered_cells(DASHBOARD)
    assert len(taken) == GRID_WIDTH * (max(y for _, y in taken) + 1)
