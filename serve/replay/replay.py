"""Send the images of a run to a service, several at a time, and fold how the answers compare with its rows."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from inference_core.errors import ShapeError
from serve.replay.given import Asker, Given
from serve.replay.row_differences import Difference, row_differences
from serve.replay.rows_of_run import RunRow

MAX_SHOWN = 10
"""Rows that are told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOutcome:
    """How one row compares."""

    image_id: str
    differences: tuple[Difference, ...] = ()
    refusal: str = ""
    """Why the service gave no answer."""
    skipped: str = ""
    lost: str = ""
    model_digest: str = ""
    """Of the model that answered, "" where nothing tells."""

    @property
    def kind(self) -> str:
        """``skipped``, ``lost``, ``refused``, ``differing`` or ``equal``."""
        for name, is_it in (("skipped", self.skipped), ("lost", self.lost), ("refused", self.refusal)):
            if is_it:
                return name
        return "differing" if self.differences else "equal"


@dataclass(slots=True, kw_only=True)
class Comparison:
    """All rows so far."""

    counts: Counter[str] = field(default_factory=Counter)
    """Rows by kind of outcome."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Equal rows by status."""
    columns: Counter[str] = field(default_factory=Counter)
    """Differing rows by column."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Rows that were not compared, by reason."""
    digests: set[tuple[str, str]] = field(default_factory=set)
    """Digests of the run's model and of the one that answered, where they are not the same."""
    largest: float = 0.0
    """Largest finite difference of a number."""
    largest_at: str = ""
    """Image and column of it."""
    first: list[RowOutcome] = field(default_factory=list)
    """The first rows that differ, were refused or are lost."""

    @property
    def is_equal(self) -> bool:
        """Whether all rows that can be sent were answered as the run says, and there are some."""
        return self.counts["equal"] > 0 and not any(self.counts[kind] for kind in ("differing", "refused", "lost"))

    def add(self, row: RunRow, outcome: RowOutcome) -> None:
        """Fold one row."""
        self.counts[outcome.kind] += 1
        if outcome.model_digest and outcome.model_digest != row.model_digest:
            self.digests.add((row.model_digest, outcome.model_digest))
        if outcome.kind == "equal":
            self.statuses[row.values["status"]] += 1
            return
        if reason := outcome.skipped or outcome.lost or outcome.refusal:
            self.reasons[f"{outcome.kind}: {reason}"] += 1
        if outcome.kind != "skipped" and len(self.first) < MAX_SHOWN:
            self.first.append(outcome)
        for entry in outcome.differences:
            self.columns[entry.column] += 1
            if self.largest < entry.size < float("inf"):
                self.largest, self.largest_at = entry.size, f"{outcome.image_id}, {entry.column}"

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines; a difference that is none of numbers is null."""
        return {
            "is_equal": self.is_equal,
            **{kind: self.counts[kind] for kind in ("equal", "differing", "refused", "lost", "skipped")},
            "equal_by_status": dict(self.statuses),
            "differing_by_column": dict(self.columns),
            "not_compared": dict(self.reasons),
            "other_models": [{"run": run, "service": service} for run, service in sorted(self.digests)],
            "largest_difference": self.largest,
            "largest_difference_at": self.largest_at,
            "first": [outcome_json(outcome) for outcome in self.first],
        }


def outcome_json(outcome: RowOutcome) -> dict[str, Any]:
    """One row for machines."""
    return {
        "image_id": outcome.image_id,
        "outcome": outcome.kind,
        "reason": outcome.lost or outcome.refusal,
        "columns": {
            entry.column: {
                "run": entry.expected,
                "service": entry.given,
                "difference": entry.size if entry.size < float("inf") else None,
            }
            for entry in outcome.differences
        },
    }


def replay(
    rows: Iterable[RunRow],
    asker: Asker,
    *,
    concurrency: int = 8,
    tolerance: float = 0.0,
    told: Callable[[Comparison], None] = lambda comparison: None,
) -> Comparison:
    """Ask for every row and compare.

    Args:
        rows: of a run.
        asker: asks the service.
        concurrency: images under way at once.
        tolerance: largest absolute difference of numbers that have a fraction.
        told: called after each row.
    """
    comparison = Comparison()
    for row, outcome in outcomes(rows, asker, concurrency=concurrency, tolerance=tolerance):
        comparison.add(row, outcome)
        told(comparison)
    return comparison


def outcomes(
    rows: Iterable[RunRow], asker: Asker, *, concurrency: int, tolerance: float
) -> Iterator[tuple[RunRow, RowOutcome]]:
    """How each row compares, in order; at most twice ``concurrency`` images are held."""
    waiting: deque[tuple[RunRow, Future[RowOutcome]]] = deque()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="replay") as pool:
        for row in rows:
            waiting.append((row, pool.submit(compare_row, row, asker, tolerance=tolerance)))
            if len(waiting) >= 2 * concurrency:
                done, outcome = waiting.popleft()
                yield done, outcome.result()
        for done, outcome in waiting:
            yield done, outcome.result()


def compare_row(row: RunRow, asker: Asker, *, tolerance: float) -> RowOutcome:
    """Ask for one row and compare."""
    image_id = str(row.values["image_id"])
    if row.skipped or row.lost:
        return RowOutcome(image_id=image_id, skipped=row.skipped, lost=row.lost)
    given: Given = asker.ask(row.image, with_mask=row.mask_png is not None)
    if given.refusal:
        return RowOutcome(image_id=image_id, refusal=given.refusal)
    try:
        differences = row_differences(row, given, tolerance=tolerance)
    except ShapeError as exc:
        return RowOutcome(image_id=image_id, refusal=str(exc))
    return RowOutcome(image_id=image_id, differences=tuple(differences), model_digest=given.model_digest)
