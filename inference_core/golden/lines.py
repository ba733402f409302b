"""What a replay says, in words: the same on the console, in errors and in reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inference_core.golden.deviation import Deviation, percent
from inference_core.golden.record import GoldenRecord, Tolerance
from inference_core.provenance import changed_keys

COLUMNS = (
    "engine",
    "precision",
    "resized by",
    "prepared values",
    "raw outputs",
    "beyond tolerance",
    "answers",
    "verdict",
)


def cells_of(found: Deviation, *, is_judged: bool = True) -> tuple[str, ...]:
    """One replay as a row of COLUMNS.

    Args:
        found: the replay.
        is_judged: whether it has to pass, or is shown for information.
    """
    if found.refusal:
        return (found.engine, found.precision, found.resampler, "", "", "", "", "does not run")
    verdict = ("pass" if found.passed else "FAIL") if is_judged else "for information"
    return (
        found.engine,
        found.precision,
        found.resampler,
        prepared_text(found),
        outputs_text(found),
        percent(found.outputs_frac),
        percent(found.answers_frac),
        verdict,
    )


def prepared_text(found: Deviation) -> str:
    """How far the prepared values are off."""
    if found.prepared_largest is None:
        return "another size or place"
    if not found.prepared_frac:
        return "equal"
    return f"{percent(found.prepared_frac)} differ, by up to {found.prepared_largest}"


def outputs_text(found: Deviation) -> str:
    """How far the raw outputs are off."""
    if found.outputs_largest is None:
        return "not comparable"
    return f"{found.outputs_largest:.2g}" if found.outputs_largest else "equal"


def sentence_of(found: Deviation, *, num_sealed: int) -> str:
    """One replay in a line.

    Args:
        found: the replay.
        num_sealed: golden images of the package, of which a job replays as many as it has time for.
    """
    if found.refusal:
        return f"{found}: does not run: {found.refusal}"
    some = f"{found.num_images} of " * (found.num_images < num_sealed)
    images = f"{some}{num_sealed} image{'s' if num_sealed > 1 else ''}"
    if not found.passed:
        return f"{images}, failed on {found}: {'; '.join(found.faults)}"
    return f"{images}, largest difference {outputs_text(found).replace('equal', '0')}, passed on {found}"


def tolerance_text(tolerance: Tolerance) -> str:
    """What is allowed, in a line."""
    return (
        f"tolerance: {percent(tolerance.prepared_frac)} of prepared values; raw outputs {tolerance.outputs_abs:g} + "
        f"{tolerance.outputs_rel:g} x the largest; {percent(tolerance.answers_frac)} of answers; in another precision "
        f"than was sealed, or quantised on another engine, only {percent(tolerance.low_answers_frac)} of answers"
    )


def version_lines(record: GoldenRecord, versions: Mapping[str, str]) -> list[str]:
    """Software that is another than when the package was sealed, a line each."""
    return [
        f"{name}: sealed with {old or 'none'}, here {new or 'none'}"
        for name, old, new in changed_keys(record.versions, versions)
    ]


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows under COLUMNS as plain text, for messages."""
    lines = [COLUMNS, *rows]
    widths = [max(len(row[index]) for row in lines) for index in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines
    )
