"""What a set of result rows says as a whole, in constant space: the value that shards store and reports show.

``Summary`` is a commutative monoid: ``Summary.of(rows)`` folds, ``a.merge(b)`` joins, ``Summary.empty()`` changes
nothing. All sums are integers, so a merge is exact and gives the same bits in whatever order and grouping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inference_core.output_spec import TaskName
from inference_core.quality_fields import FIELDS
from inference_core.quality_spec import REVIEW_SIZE
from inference_core.stats.class_counts import ClassCounts
from inference_core.stats.effects import EFFECTS_COLUMN, EffectStats
from inference_core.stats.fixed_point import REAL_BITS
from inference_core.stats.forwards import GAINS_COLUMN, SET_COLUMN, SPREAD_COLUMNS, ForwardStats
from inference_core.stats.grid import Grid, merge_grids, uncertainty_grids
from inference_core.stats.histogram import UnitHistogram
from inference_core.stats.json_record import NO_EXTRA, Count, Text, json_from_record, record_from_json
from inference_core.stats.moments import Moments
from inference_core.stats.quality import VERDICT_COLUMN, QualityStats
from inference_core.stats.review import ReviewQueue
from inference_core.stats.rows import (
    TASK_COLUMNS,
    best_classes_of,
    finds_of,
    reals_of,
    select_columns,
    select_ok,
    texts_of,
)
from inference_core.stats.tally import merge_tallies, tally_of
from inference_core.stats.timings import STAGES, Timings
from inference_core.stats.unit_sketch import UnitSketch
from inference_core.status import STATUSES

SCHEMA = 3
"""Version of the JSON form."""

SHARES = {"score": "score", "entropy": "entropy", "coverage": "foreground_frac"}
"""Quantities in [0, 1] and their columns; a task without the column leaves the quantity empty."""
SIZES = ("height", "width", "size_bytes", "num_objects")
"""Whole quantities, named as their columns; likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Statistics of result rows. Everything but ``timings`` is a function of the images and the model."""

    __pydantic_config__ = NO_EXTRA

    task: TaskName
    class_names: tuple[Text, ...]
    """(K,) in the order of class ids."""
    num_rows: Count
    """Rows of any status."""
    status: Mapping[Text, Count]
    """Rows by status, all of STATUSES; sums to ``num_rows``."""
    total_bytes: Count
    """Encoded bytes of all rows."""
    total_pixels: Count
    """Height times width, over rows with status ok."""
    formats: Mapping[Text, Count]
    """Rows by file format, "" where it is not known."""
    decoders: Mapping[Text, Count]
    """Rows by decoder, "" where nothing was decoded."""
    classes: ClassCounts
    """Images, pixels and score by class, of rows with status ok, as all that follows."""
    moments: Mapping[str, Moments]
    """Of score, entropy, coverage, height, width, size_bytes and num_objects."""
    histograms: Mapping[str, UnitHistogram]
    """Of score, entropy and coverage."""
    score_sketch: UnitSketch
    review: ReviewQueue
    timings: Timings
    forwards: ForwardStats = field(default_factory=ForwardStats)
    """Of answers that are merged of several forwards."""
    quality: QualityStats = field(default_factory=QualityStats)
    """Of answers with statistics or verdicts."""
    effects: EffectStats = field(default_factory=EffectStats)
    """Of masks that steps of postprocessing went over."""
    grids: Mapping[Text, Grid] = field(default_factory=dict)
    """Uncertainty against size and brightness, of answers with statistics."""

    def __post_init__(self) -> None:
        if set(self.status) != set(STATUSES):
            unknown = sorted(set(self.status) ^ set(STATUSES))
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {', '.join(unknown)}")
        if sum(self.status.values()) != self.num_rows:
            raise ValueError(f"status must sum to {self.num_rows} rows, got {sum(self.status.values())}")
        if len(self.classes.images) != len(self.class_names):
            raise ValueError(f"classes must have {len(self.class_names)} entries, got {len(self.classes.images)}")
        if set(self.moments) != {*SHARES, *SIZES} or set(self.histograms) != set(SHARES):
            raise ValueError(f"moments must be of {', '.join((*SHARES, *SIZES))} and histograms of {', '.join(SHARES)}")

    @classmethod
    def empty(cls, *, task: TaskName, class_names: Sequence[str]) -> Summary:
        """The summary of no rows, which merges with any other of its task and classes."""
        return cls(
            task=task,
            class_names=tuple(class_names),
            num_rows=0,
            status=dict.fromkeys(STATUSES, 0),
            total_bytes=0,
            total_pixels=0,
            formats={},
            decoders={},
            classes=ClassCounts.empty(len(class_names)),
            moments={name: Moments.empty() for name in SHARES}
            | {name: Moments.empty(fraction_bits=0) for name in SIZES},
            histograms={name: UnitHistogram.empty() for name in SHARES},
            score_sketch=UnitSketch.empty(),
            review=ReviewQueue.empty(),
            timings=Timings.empty(),
        )

    @classmethod
    def of(
        cls, table: pa.Table, *, task: TaskName, class_names: Sequence[str], review_size: int = REVIEW_SIZE
    ) -> Summary:
        """Fold result rows.

        Args:
            table: rows with the columns of ``inference_core.stats.rows``; columns of the answer are null where
                status is not ok. Text columns may be dictionary-encoded. More columns do no harm.
            task: decides which columns hold the answer.
            class_names: (K,) the model's.
            review_size: images to look at that are kept, of rows with verdicts.

        Raises:
            ShapeError: a column is missing, or a class is null in a row with status ok.
            ValueError: a status or class id is unknown.
        """
        rows = select_columns(table, task=task)
        ok = select_ok(rows)
        told = select_ok(table) if tells_more(table, task=task) else table.slice(length=0)
        finds = finds_of(ok, task=task)
        shares = {name: reals_of(ok[column]) for name, column in SHARES.items() if column in TASK_COLUMNS[task]}
        if task == "detection":
            shares["score"] = reals_of(pc.drop_null(ok["score"]))  # an image without objects has none
        sizes = {name: reals_of(ok[name]) for name in SIZES if name in rows.column_names}
        empty = cls.empty(task=task, class_names=class_names)
        return replace(
            empty,
            num_rows=rows.num_rows,
            status={**empty.status, **tally_of(rows["status"])},
            total_bytes=pc.sum(rows["size_bytes"]).as_py() or 0,
            total_pixels=_total_pixels(ok),
            formats=tally_of(rows["format"]),
            decoders=tally_of(rows["decoder"]),
            classes=ClassCounts.of(
                finds.class_ids,
                objects=finds.objects,
                pixels=finds.pixels,
                scores=finds.scores,
                num_classes=len(class_names),
            ),
            moments={
                **empty.moments,
                **{name: Moments.of(values, fraction_bits=REAL_BITS) for name, values in shares.items()},
                **{name: Moments.of(values, fraction_bits=0) for name, values in sizes.items()},
            },
            histograms={**empty.histograms, **{name: UnitHistogram.of(values) for name, values in shares.items()}},
            score_sketch=UnitSketch.of(shares.get("score", np.empty(0))),
            review=_review_of(ok, task=task),
            timings=Timings.of({stage: reals_of(rows[f"{stage}_ms"]) for stage in STAGES}),
            forwards=ForwardStats.of(told),
            quality=QualityStats.of(told, task=task, size=review_size),
            effects=EffectStats.of(told),
            grids=uncertainty_grids(told, task=task),
        )

    def merge(self, other: Summary) -> Summary:
        """The summary of the rows of both. Exact, associative and commutative.

        Raises:
            ValueError: task or classes differ.
        """
        if (self.task, self.class_names) != (other.task, other.class_names):
            raise ValueError(
                f"task and class_names must be equal to be merged, got {self.task} of {len(self.class_names)} classes "
                f"and {other.task} of {len(other.class_names)}; summaries of one model only can be merged"
            )
        return Summary(
            task=self.task,
            class_names=self.class_names,
            num_rows=self.num_rows + other.num_rows,
            status={status: self.status[status] + other.status[status] for status in STATUSES},
            total_bytes=self.total_bytes + other.total_bytes,
            total_pixels=self.total_pixels + other.total_pixels,
            formats=merge_tallies(self.formats, other.formats),
            decoders=merge_tallies(self.decoders, other.decoders),
            classes=self.classes.merge(other.classes),
            moments={name: part.merge(other.moments[name]) for name, part in self.moments.items()},
            histograms={name: part.merge(other.histograms[name]) for name, part in self.histograms.items()},
            score_sketch=self.score_sketch.merge(other.score_sketch),
            review=self.review.merge(other.review),
            timings=self.timings.merge(other.timings),
            forwards=self.forwards.merge(other.forwards),
            quality=self.quality.merge(other.quality),
            effects=self.effects.merge(other.effects),
            grids=merge_grids(self.grids, other.grids),
        )

    def without_timings(self) -> Summary:
        """The same with no times: equal for two runs over the same images with the same model."""
        return replace(self, timings=Timings.empty())

    def to_json(self) -> dict[str, Any]:
        """A JSON object that ``from_json`` reads back exactly; without the parts of which the rows tell nothing."""
        silent = {part.name for part in TOLD if getattr(self, part.name) == getattr(NOTHING_TOLD, part.name)}
        parts = json_from_record(self)
        return {"schema": SCHEMA, **{name: value for name, value in parts.items() if name not in silent}}

    @classmethod
    def from_json(cls, data: object) -> Summary:
        """Read what ``to_json`` gave.

        Raises:
            ValueError: the record is damaged or of another schema.
        """
        fields = dict(data) if isinstance(data, Mapping) else {}
        schema = fields.pop("schema", None)
        if schema != SCHEMA:
            raise ValueError(f"summary.schema must be {SCHEMA}, got {schema!r}; read it with the version that wrote it")
        return record_from_json(cls, fields, name="summary")


NOTHING_TOLD = Summary.empty(task="embedding", class_names=())
TOLD = tuple(part for part in fields(Summary) if part.default_factory is not MISSING)
"""The parts of columns that packages ask for."""


def equal_but_timings(a: Summary, b: Summary) -> bool:
    """Whether two summaries say the same of images and model, however long it took."""
    return a.without_timings() == b.without_timings()


def _review_of(ok: pa.Table, *, task: TaskName) -> ReviewQueue:
    """The images with the lowest scores; an embedding and an image without objects have none."""
    if "score" not in TASK_COLUMNS[task]:
        return ReviewQueue.empty()
    scored = ok.filter(pc.field("score").is_valid())
    return ReviewQueue.of(
        reals_of(scored["score"]),
        image_ids=texts_of(scored["image_id"]),
        uris=texts_of(scored["uri"]),
        class_ids=best_classes_of(scored, task=task),
    )


def tells_more(table: pa.Table, *, task: TaskName) -> bool:
    """Whether rows have columns that packages ask for; copying the rows for nothing would cost a third of a fold."""
    asked = {one.name for one in FIELDS if one.group is not None and task in one.tasks}
    others = {VERDICT_COLUMN, EFFECTS_COLUMN, GAINS_COLUMN, SET_COLUMN, *SPREAD_COLUMNS}
    return not (asked | others).isdisjoint(table.column_names)


def _total_pixels(ok: pa.Table) -> int:
    areas = pc.multiply(ok["height"].cast(pa.int64()), ok["width"].cast(pa.int64()))
    return pc.sum(areas).as_py() or 0
