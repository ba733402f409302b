from __future__ import annotations

from inference_core.stats.summary import Summary
from jobs.report.facts import ErrorRow, RunFacts
from jobs.report.files import build_report_files


def test_a_report_has_these_files(classified: Summary, facts: RunFacts, errors: list[ErrorRow]) -> None:
    files = build_report_files(classified, facts=facts, errors=errors)
    assert list(files) == ["summary.json", "per_class.csv", "errors.csv", "review.csv", "report.html"]
    assert all(content.endswith(b"\n") or name == "report.html" for name, content in files.items())


def test_the_same_facts_give_the_same_bytes_in_any_order(
    segmented: Summary, facts: RunFacts, errors: list[ErrorRow]
) -> None:
    first = build_report_files(segmented, facts=facts, errors=errors)
    assert build_report_files(segmented, facts=facts, errors=errors[::-1]) == first


def test_a_summary_from_storage_gives_the_same_report(
    classified: Summary, facts: RunFacts, errors: list[ErrorRow]
) -> None:
    stored = Summary.from_json(classified.to_json())
    assert build_report_files(stored, facts=facts, errors=errors) == build_report_files(
        classified, facts=facts, errors=errors
    )
