"""What a person should know of a run before anything else, one line each, with the section that says more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inference_core.stats.summary import Summary
from jobs.report.facts import RunFacts
from jobs.report.number_text import count_text, share_text

Tone = Literal["ok", "bad", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One line."""

    tone: Tone
    text: str
    section: str
    """Where on the page there is more."""
    more: str = ""
    """What to do about it."""


def headlines(summary: Summary, facts: RunFacts) -> list[Headline]:
    """Failures, verdicts, drift and what held the run back; what is as it should be is said in one line."""
    bad = [*failure_lines(summary, facts), *drift_lines(facts), *score_lines(summary)]
    if facts.num_planned and not bad:
        bad = [Headline(tone="ok", text="Every image has an answer", section="ledger")]
    return [*bad, *verdict_headlines(summary), *bottleneck_lines(facts)]


def failure_lines(summary: Summary, facts: RunFacts) -> Iterator[Headline]:
    """How many images have no answer, and why most of them."""
    if not facts.is_balanced:
        yield Headline(tone="bad", text="The ledger does not add up", section="ledger", more="Run the command again.")
    if facts.num_failed:
        failed = {status: count for status, count in summary.status.items() if status != "ok"}
        most = max(failed, key=lambda status: failed[status])
        verb = "image has" if facts.num_failed == 1 else "images have"
        yield Headline(
            tone="bad",
            text=f"{count_text(facts.num_failed)} {verb} no answer ({share_text(facts.num_failed / facts.num_planned)})"
            f", most of them: {most}",
            section="errors",
        )


def drift_lines(facts: RunFacts) -> Iterator[Headline]:
    """What drifted from the reference, or that nothing did."""
    if facts.drift is None:
        return
    for warning in facts.drift.warnings:
        yield Headline(tone="bad", text=warning[:1].upper() + warning[1:], section="drift")


def score_lines(summary: Summary) -> Iterator[Headline]:
    """Scores that are no numbers."""
    if count := summary.moments["score"].num_not_finite:
        yield Headline(tone="bad", text=f"{count_text(count)} scores are not finite numbers", section="scores")


def verdict_headlines(summary: Summary) -> Iterator[Headline]:
    """How many answers the package's rules do not accept."""
    verdicts, num_ok = summary.quality.verdicts, summary.status["ok"]
    if not verdicts:
        return
    review, reject = verdicts.get("review", 0), verdicts.get("reject", 0)
    if not review + reject:
        yield Headline(tone="ok", text="The rules accept every answer", section="quality")
        return
    yield Headline(
        tone="note",
        text=f"{count_text(review)} to review, {count_text(reject)} rejected "
        f"({share_text((review + reject) / num_ok)} of the answers)",
        section="review",
    )


def bottleneck_lines(facts: RunFacts) -> Iterator[Headline]:
    """What held the run back, and what would help."""
    if facts.bottleneck:
        sentence = facts.bottleneck.sentence
        yield Headline(
            tone="note",
            text=sentence[:1].upper() + sentence[1:],
            section="stages",
            more=f"What would help most: {facts.bottleneck.advice}.",
        )
