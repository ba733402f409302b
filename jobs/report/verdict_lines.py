"""How many answers got which verdict, and why."""

from __future__ import annotations

from collections.abc import Iterator

from inference_core.stats.summary import Summary
from inference_core.verdict import VERDICTS
from jobs.report.number_text import count_text, share_text

MAX_REASONS_SHOWN = 20


def verdict_counts(summary: Summary) -> dict[str, int]:
    """Answers by verdict; nothing where the package declares no ``quality``."""
    found = summary.quality.verdicts
    return {verdict: found[verdict] for verdict in VERDICTS if verdict in found}


def reason_counts(summary: Summary) -> dict[str, int]:
    """Answers by reason, the most frequent first; an answer may have several."""
    ranked = sorted(summary.quality.reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(ranked[:MAX_REASONS_SHOWN])


def verdict_lines(summary: Summary) -> Iterator[str]:
    """One line with the verdicts, and one for each reason."""
    verdicts, num_ok = verdict_counts(summary), summary.status["ok"]
    if verdicts:
        yield ", ".join(f"{count_text(num)} {name} ({share_text(num / num_ok)})" for name, num in verdicts.items())
    for reason, count in reason_counts(summary).items():
        yield f"  {count_text(count)}: {reason}"
