"""Compare two runs: images joined by their ids, row by row, and the distributions of all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.agreement import Decision
from inference_core.errors import JobError
from inference_core.export.committed_rows import iterate_results
from inference_core.stats.drift import Drift
from jobs.comparison.decisions import DECISION_COLUMNS, class_table, decisions_of, gap_of, is_flip
from jobs.comparison.distributions import Distributions, compared_columns, drift_by_name, drifts_between
from jobs.places import blamed_on
from jobs.plan import Plan, load_plan

QUANTILES = {"p01": 0.01, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p99": 0.99}
NUM_EXAMPLES = 20
NO_SCORE = "embedding"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One image that is answered otherwise."""

    image_id: str
    gap: float
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two runs differ in."""

    first: str
    second: str
    plans: tuple[Plan, Plan]
    num_rows: tuple[int, int]
    num_joined: int
    """Images that both runs have."""
    num_compared: int
    """Of these, images that both answered."""
    statuses: Mapping[str, int]
    """Images whose status changed, as ``before -> after``."""
    num_flips: int
    gap_mean: float
    """Mean over the compared images of how far answers differ, 0 to 1."""
    pairs: Mapping[str, int]
    """What flips are most often, as ``before -> after``; of labels and objects ``+ class`` and ``- class``."""
    flips: tuple[Flip, ...]
    """Those that differ most."""
    shifts: Mapping[str, float] | None
    """Quantiles of the second run's score less the first's; None where there are none."""
    drifts: Mapping[str, Drift]
    """By column; ``classes`` is that of images by class."""

    @property
    def flips_frac(self) -> float:
        """Share of the compared images that are answered otherwise."""
        return self.num_flips / self.num_compared if self.num_compared else 0.0

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "schema": SCHEMA,
            "task": self.plans[0].task,
            "runs": [
                {"output": uri, "run_id": plan.run_id, "model_digest": plan.identity["model_digest"], "num_rows": rows}
                for uri, plan, rows in zip((self.first, self.second), self.plans, self.num_rows, strict=True)
            ],
            "num_joined": self.num_joined,
            "num_compared": self.num_compared,
            "statuses": dict(self.statuses),
            "num_flips": self.num_flips,
            "flips_frac": self.flips_frac,
            "gap_mean": self.gap_mean,
            "pairs": dict(self.pairs),
            "flips": [asdict(flip) for flip in self.flips],
            "score_shifts": self.shifts,
            "drift": {name: {**asdict(drift), "level": drift.level} for name, drift in self.drifts.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRow:
    """What is kept of the first run's row until the second's comes."""

    status: str
    score: float | None
    values: Mapping[str, Any]


def compare_runs(first: str, second: str) -> Comparison:
    """Compare two runs' committed rows.

    Args:
        first: output of the run to compare with.
        second: output of the other.

    Raises:
        ConfigError: one is no run, or they have no task and class in common.
        JobError: one has no row, or they have no image in common.

    Cost: holds the decisions of the first run; rows of the second are read a shard at a time.
    """
    with blamed_on("RUN_A"):
        plan = load_plan(first)
    with blamed_on("RUN_B"):
        other = load_plan(second)
    table = class_table(plan, other)
    own = np.arange(len(plan.classes), dtype=np.int64)
    folds = Distributions(), Distributions()
    classes: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    kept = dict(read_rows(first, plan, fold=folds[0], classes=classes[0]))
    tally = Tally(plan, own=own, table=table)
    for image_id, row in read_rows(second, other, fold=folds[1], classes=classes[1]):
        before = kept.get(image_id)
        if before is not None:
            tally.add(image_id, before, row)
    if not tally.num_joined:
        raise JobError(
            f"{first} and {second} must have images in common to be compared, got none by image_id; run both on the "
            "same input"
        )
    drifts = drifts_between(*folds)
    by_class = drift_by_name(*classes)
    if by_class is not None:
        drifts = {"classes": by_class, **drifts}
    return Comparison(
        first=first,
        second=second,
        plans=(plan, other),
        num_rows=(folds[0].num_rows, folds[1].num_rows),
        num_joined=tally.num_joined,
        num_compared=tally.num_compared,
        statuses=dict(sorted(tally.statuses.items())),
        num_flips=tally.num_flips,
        gap_mean=float(np.mean(tally.gaps)) if tally.gaps else 0.0,
        pairs=dict(tally.pairs.most_common(NUM_EXAMPLES)),
        flips=tuple(sorted(tally.flips, key=lambda flip: (-flip.gap, flip.image_id))[:NUM_EXAMPLES]),
        shifts=tally.shift_quantiles(),
        drifts=drifts,
    )


def read_rows(output: str, plan: Plan, *, fold: Distributions, classes: Counter[str]) -> Iterator[tuple[str, KeptRow]]:
    """Image id and what is compared of each row; distributions are folded on the way.

    Raises:
        JobError: no row is committed.
    """
    columns: list[str] | None = None
    wanted = list(DECISION_COLUMNS[plan.task])
    for found in iterate_results(output):
        columns = compared_columns(found.rows.schema) if columns is None else columns
        fold.add(found.rows, columns)
        names = ["image_id", "status", *wanted, *(["score"] if plan.task != NO_SCORE else [])]
        for row in found.rows.select(names).to_pylist():
            values = {name: row[name] for name in wanted}
            if row["status"] == "ok":
                classes.update(shown_classes(plan, values))
            yield row["image_id"], KeptRow(status=row["status"], score=row.get("score"), values=values)
    if columns is None:
        raise JobError(f"{output} must have a committed shard to be compared, got none; run the job first")


def shown_classes(plan: Plan, values: Mapping[str, Any]) -> list[str]:
    """Names of the classes that a row answers."""
    match plan.task:
        case "classification":
            return [plan.classes[values["class_id"]]]
        case "multilabel":
            return [plan.classes[class_id] for class_id in values["class_ids"]]
        case "detection":
            return [plan.classes[one["class_id"]] for one in values["objects"]]
        case "segmentation":
            return [plan.classes[one["class_id"]] for one in values["classes"]]
        case _:
            return []


class Tally:
    """Counts what changed from one run to the other.

    Args:
        plan: the first run's.
        own: (K,) its class ids.
        table: (K',) its class id of each class of the second run.
    """

    def __init__(self, plan: Plan, *, own: NDArray[np.int64], table: NDArray[np.int64]) -> None:
        self._plan = plan
        self._tables = own, table
        self.num_joined = self.num_compared = self.num_flips = 0
        self.statuses: Counter[str] = Counter()
        self.pairs: Counter[str] = Counter()
        self.gaps: list[float] = []
        self.flips: list[Flip] = []
        self._shifts: list[float] = []

    def add(self, image_id: str, before: KeptRow, after: KeptRow) -> None:
        """Count one image that both runs have."""
        self.num_joined += 1
        if before.status != after.status:
            self.statuses[f"{before.status} -> {after.status}"] += 1
        if before.status != "ok" or after.status != "ok":
            return
        self.num_compared += 1
        task = self._plan.task
        one, other = (
            decisions_of(task, row.values, table) for row, table in zip((before, after), self._tables, strict=True)
        )
        gap = gap_of(task, one, other)
        self.gaps.append(gap)
        if before.score is not None and after.score is not None:
            self._shifts.append(after.score - before.score)
        if is_flip(task, one, other, gap):
            self.num_flips += 1
            self.pairs.update(self._changes(one, other))
            self._keep(Flip(image_id=image_id, gap=gap, before=self._text(one), after=self._text(other)))

    def shift_quantiles(self) -> dict[str, float] | None:
        """Quantiles and mean of the score's change; None without scores."""
        if not self._shifts:
            return None
        values = np.quantile(self._shifts, list(QUANTILES.values()))
        return {"mean": float(np.mean(self._shifts)), **dict(zip(QUANTILES, values.tolist(), strict=True))}

    def _changes(self, one: Decision, other: Decision) -> list[str]:
        """What a flip is counted as."""
        task = self._plan.task
        if task in ("classification", "segmentation", "embedding"):
            return [f"{self._text(one)} -> {self._text(other)}"]
        before, after = (Counter(self._names(part)) for part in (one, other))
        gained, lost = (after - before).elements(), (before - after).elements()
        moved = ["moved"] if before == after else []
        return [*(f"+ {name}" for name in gained), *(f"- {name}" for name in lost), *moved]

    def _names(self, decision: Decision) -> list[str]:
        """Classes of labels or objects."""
        ids = decision[:, 0] if decision.ndim == 2 else decision
        return [name_of(self._plan.classes, int(one)) for one in ids]

    def _keep(self, flip: Flip) -> None:
        self.flips.append(flip)
        if len(self.flips) > 4 * NUM_EXAMPLES:  # the largest stay
            self.flips = sorted(self.flips, key=lambda flip: (-flip.gap, flip.image_id))[:NUM_EXAMPLES]

    def _text(self, decision: Decision) -> str:
        """A decision in a few words."""
        match self._plan.task:
            case "classification":
                return self._names(decision)[0]
            case "segmentation":
                return name_of(self._plan.classes, int(decision.argmax()))
            case "embedding":
                return "vector"
            case _:
                return counts_text(Counter(self._names(decision)))


def name_of(classes: tuple[str, ...], class_id: int) -> str:
    """The name of a class, of those that the first run has."""
    return classes[class_id] if 0 <= class_id < len(classes) else "another class"


def counts_text(counts: Counter[str]) -> str:
    """Labels or objects by class in a few words."""
    texts = (name if count == 1 else f"{count} {name}" for name, count in sorted(counts.items()))
    return ", ".join(texts) or "nothing"
