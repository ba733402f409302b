"""The table at the end of a command: what came out of a run, and where to look next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from inference_core.stats.summary import Summary
from jobs.finalize import Outcome
from jobs.report.effect_lines import effect_lines
from jobs.report.number_text import hours_text, plural, price_text
from jobs.report.review_rows import review_rows
from jobs.report.verdict_lines import verdict_lines


def outcome_rows(outcome: Outcome) -> list[tuple[str, str]]:
    """Names and what is told of them."""
    facts = outcome.facts
    sums = f"{facts.num_ok:,} ok + {facts.num_failed:,} failed + {facts.num_skipped:,} skipped"
    failures = {status: count for status, count in outcome.summary.status.items() if status != "ok"}
    return [
        ("images", f"{facts.num_planned:,} planned = {sums}"),
        *[(f"  {status}", f"{count:,}") for status, count in failures.items() if count],
        *([("taken over", facts.taken_over_text)] if facts.taken_over_text else []),
        (
            "rate",
            f"{facts.images_per_s:,.1f} images/s, {facts.wall_s:,.1f} s of work in "
            f"{plural(facts.num_attempts, 'attempt')}",
        ),
        *cost_rows(outcome),
        ("engine", facts.engine),
        ("layout", facts.layout_reason),
        *([("memory", facts.peaks.text)] if facts.peaks.text else []),
        *([("bottleneck", facts.bottleneck.sentence), ("advice", facts.bottleneck.advice)] if facts.bottleneck else []),
        *(("postprocess", line) for line in effect_lines(outcome.summary)),
        *(("verdicts", line) for line in verdict_lines(outcome.summary)),
        *(("drift", warning) for warning in (facts.drift.warnings if facts.drift else ())),
        ("report", f"{outcome.report_uri}/report.html"),
        *next_rows(outcome),
    ]


def cost_rows(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """What the run cost, where the price table says so."""
    cost = outcome.facts.cost
    if cost is not None and cost.price is not None:
        gpus = f", {hours_text(cost.gpu_hours)} GPU hours" if cost.gpu_hours else ""
        yield "cost", f"{price_text(cost.price)} ({hours_text(cost.core_hours)} core hours{gpus})"


def next_rows(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Where to look next, and what can be done."""
    if told := review_text(outcome.summary):
        yield "review", f"{outcome.report_uri}/review.csv: {told}"
    failed = [status for status, count in outcome.summary.status.items() if status != "ok" and count]
    if failed:
        output, images = outcome.report_uri.rpartition("/")[0], plural(outcome.facts.num_failed, "image")
        yield "errors", f"{outcome.report_uri}/errors.csv: {images} without an answer"
        yield "retry", f"millrace retry {shlex.quote(output)} --status {','.join(failed)}"


def review_text(summary: Summary) -> str:
    """What stands in the review queue, "" where nothing does."""
    count = len(review_rows(summary))
    if not count:
        return ""
    return f"the first {plural(count, 'answer')} to look at" if summary.quality.verdicts else lowest_text(count)


def lowest_text(count: int) -> str:
    """What a queue without verdicts holds."""
    return "the answer with the lowest score" if count == 1 else f"the {count:,} lowest scores"


def outcome_lines(outcome: Outcome) -> list[str]:
    """The table, on lines as long as they are."""
    rows = outcome_rows(outcome)
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]
