"""A run and which of its images are labelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from inference_core.errors import ConfigError, JobError
from inference_core.evaluation.labels.boxes import BoxLabels
from inference_core.evaluation.labels.class_ids import KEY, ClassIds, read_class_map
from inference_core.evaluation.labels.match import Match, match_labels
from inference_core.evaluation.labels.read_labels import (
    ReadMask,
    read_box_labels,
    read_class_labels,
    read_label_sets,
    read_mask_labels,
)
from inference_core.export.committed_rows import iterate_results
from jobs.listing import read_listing
from jobs.places import blamed_on
from jobs.plan import Plan, load_plan
from jobs.stage_progress import Stages, silent_stages

Truth = int | frozenset[int] | BoxLabels | ReadMask


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRun:
    """A run, finished or not, with the labels of its images."""

    output: str
    plan: Plan
    image_ids: tuple[str, ...]
    """Of the images that have an answer and a label, in the order of rows."""
    truth: Mapping[str, Any]
    """Their labels, by image id: a class id, class ids, BoxLabels, or what gives a mask."""
    match: Match
    num_failed: int
    """Labelled images without an answer."""
    notes: tuple[str, ...]
    """What was assumed of the labels."""
    num_open: int | None = 0
    """Images of the run that have no row yet; None where they are still being listed."""
    stages: Stages = silent_stages
    """Show how far it is where images are answered again."""

    def rows(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows of labelled images that have an answer, in order, a shard at a time."""
        for found in iterate_results(self.output, columns=["image_id", "status", *columns]):
            rows = found.rows.filter(pc.field("status") == "ok")
            kept = [image_id in self.truth for image_id in rows["image_id"].to_pylist()]
            yield rows.filter(pa.array(kept, pa.bool_()))


def read_labelled_run(
    output: str, *, labels: str, class_map: str | None, stages: Stages = silent_stages
) -> LabelledRun:
    """Match a run's committed rows with labels.

    Args:
        output: the run's folder or prefix.
        labels: URI of labels, or ``folders``.
        class_map: URI of a file that says what labels call classes; None for nothing.
        stages: see LabelledRun.

    Raises:
        ConfigError: there is no run, the task has no labels, or they do not fit.
        JobError: the run has no committed row, or none of the labelled images has an answer.
    """
    with blamed_on("output"):
        plan = load_plan(output)
    if plan.task == "embedding":
        raise ConfigError(
            "must go with a task that has classes, got a run of embeddings; nothing can be compared", key=KEY
        )
    ids = ClassIds(plan.classes, renamed=read_class_map(class_map) if class_map else None)
    listing = read_listing(output)
    image_ids, answered = read_ids(output)
    with blamed_on(KEY):
        named, notes = read_truth(plan, labels, ids, image_ids=image_ids)
    match = match_labels(named, image_ids, origin=labels)
    truth = {image_id: named[name] for image_id, name in match.names.items() if image_id in answered}
    if not truth:
        raise JobError(
            f"labelled images must have an answer, got none for {len(match.names)}; see report/errors.csv for "
            "the reasons"
        )
    return LabelledRun(
        output=output,
        plan=plan,
        image_ids=tuple(image_id for image_id in image_ids if image_id in truth),
        truth=truth,
        match=match,
        num_failed=len(match.names) - len(truth),
        notes=tuple(notes),
        num_open=None if listing is None else listing.num_rows - len(image_ids),
        stages=stages,
    )


def read_ids(output: str) -> tuple[list[str], set[str]]:
    """All image ids in the order of rows, and those that have an answer.

    Raises:
        JobError: no row is committed.
    """
    image_ids: list[str] = []
    answered: set[str] = set()
    for found in iterate_results(output, columns=["image_id", "status"]):
        names, statuses = (found.rows[name].to_pylist() for name in ("image_id", "status"))
        image_ids += names
        answered.update(name for name, status in zip(names, statuses, strict=True) if status == "ok")
    if not image_ids:
        raise JobError(f"{output} must have a committed shard to be evaluated, got none; run the job first")
    return image_ids, answered


def read_truth(
    plan: Plan, labels: str, ids: ClassIds, *, image_ids: Sequence[str]
) -> tuple[Mapping[str, Truth], list[str]]:
    """Labels by what they call an image, and notes on what was assumed."""
    match plan.task:
        case "classification":
            return read_class_labels(labels, ids, image_ids=image_ids), []
        case "multilabel":
            return read_label_sets(labels, ids), []
        case "detection":
            return read_box_labels(labels, ids), []
        case _:
            return read_mask_labels(labels, ids)
