"""``report.html``: one file that opens anywhere, asks nothing of the network and runs no script."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from inference_core.stats.summary import Summary
from jobs.report.class_table import label_of
from jobs.report.facts import ErrorRow, RunFacts
from jobs.report.number_text import (
    bytes_text,
    count_text,
    duration_text,
    ms_text,
    quantity_text,
    rate_text,
    score_text,
    share_text,
)
from jobs.report.page_parts import class_bars, error_groups, histogram_bars, memory_rows
from jobs.report.safe_text import visible_text
from jobs.report.stage_table import stage_rows

SCORE_QUANTILES = {"p5": 0.05, "Median": 0.5, "p95": 0.95}


def report_html(summary: Summary, *, facts: RunFacts, errors: Sequence[ErrorRow]) -> bytes:
    """The page's content, UTF-8."""
    page = _build_environment().get_template("report.html.j2")
    text = page.render(
        summary=summary,
        facts=facts,
        failures=[(status, count) for status, count in summary.status.items() if status != "ok" and count],
        classes=class_bars(summary),
        num_classes_seen=sum(images > 0 for images in summary.classes.images),
        histograms={name: histogram_bars(part) for name, part in summary.histograms.items() if part.count},
        score_quantiles={name: summary.score_sketch.quantile(q_frac) for name, q_frac in SCORE_QUANTILES.items()},
        stages=stage_rows(summary.timings),
        memory=memory_rows(facts),
        review=[(entry, label_of(summary, entry.class_id)) for entry in summary.review.entries],
        error_groups=error_groups(errors),
        config_lines=config_lines(facts.config),
    )
    return text.encode("utf-8", errors="backslashreplace")


def config_lines(config: Mapping[str, Any]) -> list[str]:
    """The settings as lines of YAML; what YAML does not know is shown as text."""
    plain = json.loads(json.dumps(config, default=str))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).splitlines()


def _build_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("jobs.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": bytes_text,
        "digits": count_text,
        "duration": duration_text,
        "ms": ms_text,
        "quantity": quantity_text,
        "rate": rate_text,
        "score": score_text,
        "share": share_text,
    }
    return environment


def _show(value: object) -> object:
    """Every text that the template inserts goes through here, so that none can be forgotten."""
    return visible_text(value) if type(value) is str else value
