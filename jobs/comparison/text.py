"""A comparison of two runs as lines for people."""

from __future__ import annotations

from jobs.comparison.compare_runs import Comparison
from jobs.plan import Plan
from jobs.report.number_text import count_text, share_text
from jobs.text_table import table_lines

NUM_PAIRS = 10


def comparison_lines(found: Comparison) -> list[str]:
    """The whole comparison."""
    one, other = found.plans
    lines = [
        f"A  {found.first}: {model_text(one)}, {found.num_rows[0]:,} images",
        f"B  {found.second}: {model_text(other)}, {found.num_rows[1]:,} images",
        f"{found.num_joined:,} images in both, {found.num_compared:,} answered by both",
        *(f"status {change}: {count_text(count)}" for change, count in found.statuses.items()),
        "",
        f"other answers: {found.num_flips:,} of {found.num_compared:,} ({share_text(found.flips_frac)}), "
        f"mean difference {found.gap_mean:.4f}",
        *(f"  {pair}: {count_text(count)}" for pair, count in list(found.pairs.items())[:NUM_PAIRS]),
    ]
    if found.shifts is not None:
        shifts = ", ".join(f"{name} {value:+.4f}" for name, value in found.shifts.items())
        lines += ["", f"change of the score, B less A: {shifts}"]
    return [*lines, "", *drift_lines(found)]


def model_text(plan: Plan) -> str:
    """A run's model and its digest."""
    return f"{plan.model_name} {str(plan.identity['model_digest'])[:12]}"


def drift_lines(found: Comparison) -> list[str]:
    """A table of the drift of each column."""
    rows: list[tuple[str, ...]] = [("drift of", "PSI", "KS", "p value", "JS", "level")]
    for name, drift in found.drifts.items():
        figures = f"{drift.psi:.4f}", f"{drift.ks:.4f}", f"{drift.p_value:.2g}", f"{drift.js:.4f}"
        rows.append((name, *figures, drift.level))
    return table_lines(rows)
