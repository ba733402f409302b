"""The files of a report, by name."""

from __future__ import annotations

from collections.abc import Sequence

from inference_core.stats.summary import Summary
from jobs.report.csv_files import errors_csv, per_class_csv, review_csv
from jobs.report.facts import ErrorRow, RunFacts
from jobs.report.page import report_html
from jobs.report.page_extras import PageExtras
from jobs.report.summary_json import summary_json


def build_report_files(
    summary: Summary, *, facts: RunFacts, errors: Sequence[ErrorRow], extras: PageExtras | None = None
) -> dict[str, bytes]:
    """Everything that a finished run shows. The same arguments give the same bytes.

    Args:
        summary: of all rows of the run.
        facts: how the run went.
        errors: every row whose status is not ok, in any order.
        extras: what the page shows besides.

    Returns:
        File name to content.
    """
    return {
        "summary.json": summary_json(summary, facts),
        "per_class.csv": per_class_csv(summary),
        "errors.csv": errors_csv(errors),
        "review.csv": review_csv(summary),
        "report.html": report_html(summary, facts=facts, errors=errors, extras=extras),
    }
