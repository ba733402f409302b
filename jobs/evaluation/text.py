"""An evaluation as lines for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inference_core.evaluation.findings import Figure
from inference_core.evaluation.fit_calibration import CalibrationFit
from inference_core.evaluation.fit_thresholds import ThresholdFit, Wanted
from inference_core.evaluation.metrics.confusion import most_confused
from inference_core.evaluation.of_verdicts import VerdictFindings
from inference_core.validation import plain_facts
from jobs.evaluation.otsu import OtsuResult
from jobs.evaluation.result import EvaluationResult, FitResult, SetFit
from jobs.report.number_text import NOTHING, count_text, share_text
from jobs.text_table import table_lines

MAX_CLASSES = 20
"""Of a table; report/evaluation_classes.csv has all."""
NUM_MISTAKES = 5
SHOWN_COVERAGES = (0.5, 0.8, 1.0)
MAX_CURVE_TEXT = 70
"""Characters of a calibration that are shown."""


def result_lines(result: EvaluationResult) -> list[str]:
    """The whole evaluation."""
    run = result.run
    lines = [
        f"{len(run.image_ids):,} labelled images of {run.match.num_images:,}, {run.plan.task} with "
        f"{run.plan.model_name}, answers: {result.source}",
        *(f"note: {note}" for note in (*run.notes, *result.findings.notes)),
        "",
        *figure_lines(result.findings.figures),
        "",
        *class_lines(result),
    ]
    if result.findings.confusion is not None:
        labels = run.plan.classes
        lines += [
            f"most confused: {labels[true]} answered as {labels[found]}, {count_text(count)} times"
            for true, found, count in most_confused(result.findings.confusion, count=NUM_MISTAKES)
        ]
    if result.verdicts is not None:
        lines += ["", *verdict_lines(result.verdicts)]
    if result.fit is not None:
        lines += ["", *fit_lines(result.fit)]
    if result.wanted:
        lines += ["", *wanted_lines(result.wanted)]
    return lines


def figure_lines(figures: Sequence[Figure]) -> list[str]:
    """Each figure with its interval."""
    rows = [("figure", "value", "95 % interval")]
    for figure in figures:
        ends = f"{figure.interval.low:.3f} to {figure.interval.high:.3f}" if figure.interval else ""
        rows.append((figure.name, real_text(figure.value), ends))
    return table_lines(rows)


def class_lines(result: EvaluationResult) -> list[str]:
    """The table of classes, the most frequent first where there are many."""
    rows = [dict(row) for row in result.findings.per_class]
    count_key = next(key for key in ("num_true", "true_px") if key in rows[0])
    seen = [row for row in rows if row[count_key] or row.get("num_found") or row.get("found_px")]
    shown = sorted(seen, key=lambda row: -int(row[count_key]))[:MAX_CLASSES] if len(seen) > MAX_CLASSES else seen
    names = [name for name in rows[0] if name != "class_id"]
    lines = table_lines([tuple(names), *(tuple(cell_text(row[name]) for name in names) for row in shown)])
    left = len(seen) - len(shown)
    return [*lines, f"and {left:,} more classes: report/evaluation_classes.csv"] if left else lines


def verdict_lines(found: VerdictFindings) -> list[str]:
    """Errors among what was accepted, is to be reviewed, and was rejected; and by priority."""
    rows: list[tuple[str, ...]] = [("verdict", "images", "share", "error", "95 % interval")]
    for row in found.rows:
        ends = str(row.interval) if row.interval else ""
        rows.append((row.verdict, count_text(row.num_images), share_text(row.frac), real_text(row.error), ends))
    shown = [(coverage, error) for coverage, error in found.risk_at if coverage in SHOWN_COVERAGES]
    risks = ", ".join(f"{real_text(error)} of {share_text(coverage)}" for coverage, error in shown)
    return [
        *table_lines(rows),
        f"error: {found.error_name}; of the images with the lowest priority: {risks} (AURC {real_text(found.aurc)})",
    ]


def fit_lines(fit: FitResult) -> list[str]:
    """What was fitted."""
    lines = [f"fitted on {fit.num_fitted:,} images, measured on {fit.num_measured:,} others (seed {fit.seed})"]
    if fit.calibration is not None:
        lines += calibration_lines(fit.calibration)
    if fit.thresholds:
        lines += ["", *threshold_lines(fit.thresholds)]
    if fit.sets is not None:
        lines += ["", set_line(fit.sets)]
    return lines


def calibration_lines(fit: CalibrationFit) -> list[str]:
    """The calibration, and the errors and the reliability of scores before and after."""
    text = str(plain_facts(fit.calibration))
    shown = text if len(text) <= MAX_CURVE_TEXT else f"{text[:MAX_CURVE_TEXT]}..."
    rows: list[tuple[str, ...]] = [("", "ECE", "MCE", "Brier", "NLL")]
    for name, errors in (("before", fit.before), ("after", fit.after)):
        values = (errors.ece, errors.mce, errors.brier, errors.nll)
        rows.append((name, *(f"{value:.4f}" for value in values)))
    return [f"calibration {shown}", *table_lines(rows), "", *reliability_lines(fit)]


def reliability_lines(fit: CalibrationFit) -> list[str]:
    """The reliability diagram as a table: what scores say, and how often they are right."""
    rows: list[tuple[str, ...]] = [("scores", "before: count", "score", "right", "after: count", "score", "right")]
    num_bins = len(fit.before.bins.counts)
    for index in range(num_bins):
        cells = [f"{index / num_bins:.2f} to {(index + 1) / num_bins:.2f}"]
        counts = []
        for bins in (fit.before.bins, fit.after.bins):
            count = float(bins.counts[index])
            counts.append(count)
            cells += (
                [count_text(round(count)), f"{bins.score_means[index]:.3f}", f"{bins.right_fracs[index]:.3f}"]
                if count
                else ["", "", ""]
            )
        if any(counts):
            rows.append(tuple(cells))
    return table_lines(rows)


def threshold_lines(fits: Sequence[ThresholdFit]) -> list[str]:
    """The best thresholds beside the present ones, on the same other images."""
    rows: list[tuple[str, ...]] = [
        ("threshold for", "best", "precision", "recall", "F1/Dice", "IoU", "now", "F1/Dice", "IoU")
    ]
    for fit in fits[: MAX_CLASSES + 1]:
        new, old = fit.measured, fit.present
        rows.append(
            (
                fit.label or "all",
                f"{fit.threshold:.4f}",
                *(f"{value:.3f}" for value in (new.precision, new.recall, new.f1, new.iou)),
                f"{fit.present_threshold:.4f}",
                *(f"{value:.3f}" for value in (old.f1, old.iou)),
            )
        )
    return table_lines(rows)


def set_line(fit: SetFit) -> str:
    """What conformal sets do."""
    ends = f" (95 % interval {fit.interval})" if fit.interval else ""
    return (
        f"conformal sets ({fit.method}, quantile {fit.quantile:.6f}): {fit.wanted_frac:.1%} wanted, "
        f"{fit.coverage.covered_frac:.1%}{ends} of {fit.coverage.num_images:,} other images covered, "
        f"{fit.coverage.mean_size:.1f} classes in a set, {fit.coverage.empty_frac:.1%} empty; the best class alone is "
        f"right in {fit.accuracy:.1%}"
    )


def wanted_lines(found: Sequence[Wanted]) -> list[str]:
    """Thresholds for what is wanted."""
    lines = []
    for one in found[: MAX_CLASSES + 1]:
        whose = f" of {one.label}" if one.label else ""
        if one.threshold is None or one.measured is None:
            lines.append(f"{one.kind} {one.wanted:g}{whose}: no threshold has it; the best scores are wrong too often")
            continue
        told = f"precision {one.measured.precision:.3f}, recall {one.measured.recall:.3f} on the other images"
        where = "from it on" if one.is_above else "below it"
        lines.append(
            f"{one.kind} {one.wanted:g}{whose}: threshold {one.threshold:.4f} ({told}); to review: "
            f"{share_text(one.review_frac)} {where}"
        )
    return lines


def otsu_lines(found: OtsuResult) -> list[str]:
    """Groups of scores."""
    names = ", ".join(f"{threshold:.4f}" for threshold in found.thresholds)
    groups = ", ".join(share_text(frac) for frac in found.fracs)
    return [
        f"scores of {count_text(found.num_values)} {found.of} ({count_text(found.num_images)} images) divide at "
        f"{names}",
        f"groups from the lowest up: {groups}",
    ]


def cell_text(value: object) -> str:
    """A cell of a table of figures."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return real_text(value)
    return count_text(value) if isinstance(value, int) else str(value)


def real_text(value: float) -> str:
    """A figure with four places."""
    return NOTHING if math.isnan(value) else f"{value:.4f}"
