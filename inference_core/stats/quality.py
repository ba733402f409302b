"""What verdicts and statistics say of a run: how many answers got which verdict and why, and what to look at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inference_core.output_spec import TaskName
from inference_core.quality_fields import FIELDS
from inference_core.stats.fixed_point import REAL_BITS
from inference_core.stats.forwards import SPREAD_COLUMNS, merge_found
from inference_core.stats.json_record import NO_EXTRA, Count, Finite, Integer, Text
from inference_core.stats.moments import Moments
from inference_core.stats.rows import best_classes_of, reals_of, texts_of
from inference_core.stats.tally import merge_tallies, tally_of
from inference_core.verdict import VERDICTS, Verdict

VERDICT_COLUMN = "verdict"
"""Where the package declares rules."""
ORDER: tuple[Verdict, ...] = ("review", "reject")
"""Verdicts that are worth a look, in the order in which to look; what is accepted is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedImage:
    """One image to look at."""

    __pydantic_config__ = NO_EXTRA

    verdict: Verdict
    priority: Finite
    """The higher, the sooner."""
    image_id: Text
    uri: Text
    reasons: tuple[Text, ...]
    score: Finite | None
    """None where the answer has none."""
    class_id: Integer
    """The best class, -1 where there is no single one."""

    @property
    def key(self) -> tuple[object, ...]:
        """A total order: those to review before those rejected, each by falling priority, equal ones by image id."""
        score = (self.score is not None, self.score or 0.0)
        place = ORDER.index(self.verdict)
        return place, -self.priority, self.image_id, self.uri, self.reasons, *score, self.class_id


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityStats:
    """Of rows with status ok; empty where the package asks for nothing."""

    __pydantic_config__ = NO_EXTRA

    size: Count = 0
    """Most images of the queue; 0 where no rows with verdicts were seen."""
    verdicts: Mapping[Text, Count] = field(default_factory=dict)
    """Rows by verdict, each of VERDICTS where there is any."""
    reasons: Mapping[Text, Count] = field(default_factory=dict)
    """Rows by reason; a row may have several."""
    queue: tuple[QueuedImage, ...] = ()
    """The first ``size`` of all, in order: keeping the smallest of a total order merges in any order."""
    quantities: Mapping[Text, Moments] = field(default_factory=dict)
    """Of the statistics that the rows have."""

    def __post_init__(self) -> None:
        if len(self.queue) > self.size or any(a.key > b.key for a, b in pairwise(self.queue)):
            raise ValueError(f"queue must be at most {self.size} images in order, got {len(self.queue)}")

    @classmethod
    def of(cls, ok: pa.Table, *, task: TaskName, size: int) -> QualityStats:
        """Fold rows with status ok.

        Args:
            ok: the rows. Those without a column ``verdict`` have no queue.
            task: decides which columns are statistics.
            size: images that the queue keeps, at least 1.
        """
        quantities = quantities_of(ok, task=task)
        if VERDICT_COLUMN not in ok.column_names or not ok.num_rows:
            return cls(quantities=quantities)
        verdicts = tally_of(ok["verdict"])
        return cls(
            size=size,
            verdicts={verdict: verdicts.get(verdict, 0) for verdict in VERDICTS},
            reasons=tally_of(pc.list_flatten(ok["reasons"])),
            queue=tuple(nsmallest(size, queued_images(ok, task=task, size=size), key=lambda image: image.key)),
            quantities=quantities,
        )

    def merge(self, other: QualityStats) -> QualityStats:
        """Those of both. Exact, associative and commutative.

        Raises:
            ValueError: their queues are of different sizes.
        """
        if 0 not in (self.size, other.size) and self.size != other.size:
            raise ValueError(f"size must be {self.size} to be merged, got {other.size}; sum up one model only")
        size = max(self.size, other.size)
        names = sorted({*self.quantities, *other.quantities})
        return QualityStats(
            size=size,
            verdicts=merge_tallies(self.verdicts, other.verdicts),
            reasons=merge_tallies(self.reasons, other.reasons),
            queue=tuple(nsmallest(size, (*self.queue, *other.queue), key=lambda image: image.key)),
            quantities={name: merge_found(self.quantities.get(name), other.quantities.get(name)) for name in names},
        )


def quantities_of(ok: pa.Table, *, task: TaskName) -> dict[str, Moments]:
    """Moments of the statistics that rows have; uncertainties count among the forwards."""
    if not ok.num_rows:
        return {}
    asked = [one for one in FIELDS if one.group is not None and task in one.tasks and one.name in ok.column_names]
    return {
        one.name: Moments.of(reals_of(pc.drop_null(ok[one.name])), fraction_bits=0 if one.is_whole else REAL_BITS)
        for one in asked
        if one.name not in SPREAD_COLUMNS
    }


def queued_images(ok: pa.Table, *, task: TaskName, size: int) -> Sequence[QueuedImage]:
    """The images that a queue of ``size`` may hold, in any order."""
    parts = [first_of(ok.filter(pc.field("verdict").cast(pa.string()) == verdict), size=size) for verdict in ORDER]
    rows = pa.concat_tables(parts)
    has_score = "score" in rows.column_names
    return [
        QueuedImage(
            verdict=verdict,
            priority=priority,
            image_id=image_id,
            uri=uri,
            reasons=tuple(reasons),
            score=None if score is None or not np.isfinite(score) else score,
            class_id=class_id,
        )
        for verdict, priority, image_id, uri, reasons, score, class_id in zip(
            rows["verdict"].to_pylist(),
            rows["priority"].to_pylist(),
            texts_of(rows["image_id"]),
            texts_of(rows["uri"]),
            rows["reasons"].to_pylist(),
            rows["score"].to_pylist() if has_score else [None] * rows.num_rows,
            best_classes_of(rows, task=task),
            strict=True,
        )
    ]


def first_of(rows: pa.Table, *, size: int) -> pa.Table:
    """The rows whose priority is among the highest ``size``, equal ones included: spares an entry for each image."""
    if rows.num_rows <= size:
        return rows
    priorities = reals_of(rows["priority"])
    least = np.partition(priorities, len(priorities) - size)[len(priorities) - size]
    return rows.filter(pa.array(priorities >= least))
