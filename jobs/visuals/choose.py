"""Which images are drawn: by score, by chance, by class, by error and of the review queue, from the rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inference_core.output_spec import TaskName
from jobs.afterwards_config import VisualsConfig
from jobs.visuals.smallest import Found, SmallestRows, chance_keys

POLICIES = ("worst", "review", "per_error", "per_class", "random")
"""In the order in which they take turns."""
CLASS_COLUMNS: dict[TaskName, tuple[str, ...]] = {
    "classification": ("class_id",),
    "multilabel": ("class_ids",),
    "detection": ("objects.list.element.class_id",),
    "segmentation": ("classes.list.element.class_id",),
    "embedding": (),
}
"""What tells the classes of an image, as Parquet names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an image is drawn."""

    policy: str
    rank: int
    """From 1, in its policy, or in its class or error."""
    group: str = ""
    """The class or the error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One image to draw."""

    found: Found
    reasons: tuple[Reason, ...]
    """The first one names the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is drawn of a run."""

    images: tuple[Chosen, ...] = ()
    num_wanted: int = 0
    """Images that the policies name, before the cap."""


@dataclass(slots=True)
class Chooser:
    """Looks at rows, shard by shard in any order, and says at the end which are drawn."""

    settings: VisualsConfig
    task: TaskName
    class_names: Sequence[str]
    review_ids: Sequence[str] = ()
    """Of the review queue, first those to look at first."""
    _worst: SmallestRows = field(init=False)
    _random: SmallestRows = field(init=False)
    _by_class: dict[int, SmallestRows] = field(default_factory=dict, init=False)
    _by_error: dict[str, SmallestRows] = field(default_factory=dict, init=False)
    _review: dict[str, Found] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._worst, self._random = SmallestRows(self.settings.worst), SmallestRows(self.settings.random)

    @property
    def columns(self) -> list[str]:
        """What has to be read of the rows."""
        scores = ["score"] if self.settings.worst and self.task != "embedding" else []
        classes = list(CLASS_COLUMNS[self.task]) if self.settings.per_class else []
        return ["image_id", "status", *scores, *classes]

    def look(self, rows: pa.Table, *, shard_id: int) -> None:
        """Look at the rows of one shard, of which there are ``columns``."""
        settings = self.settings
        ids: list[str] = rows["image_id"].to_pylist()
        statuses = np.array(rows["status"].to_pylist(), dtype=object)
        is_ok = statuses == "ok"
        if settings.worst and "score" in rows.column_names:
            scores = np.asarray(rows["score"].cast(pa.float64()), np.float64)
            self._offer(self._worst, scores, is_ok & np.isfinite(scores), ids, shard_id)
        if settings.random or settings.per_class or settings.per_error:
            keys = chance_keys(ids, seed=settings.seed)
            self._offer(self._random, keys, is_ok, ids, shard_id)
            for status in sorted(set(statuses[~is_ok].tolist())) if settings.per_error else ():
                kept = self._by_error.setdefault(status, SmallestRows(settings.per_error))
                self._offer(kept, keys, statuses == status, ids, shard_id)
            for class_id, ords in classes_of(rows, task=self.task) if settings.per_class else ():
                kept = self._by_class.setdefault(class_id, SmallestRows(settings.per_class))
                kept.offer(keys[ords], ords, image_ids=ids, shard_id=shard_id)
        self._look_for_review(ids, shard_id=shard_id)

    def _look_for_review(self, ids: Sequence[str], *, shard_id: int) -> None:
        wanted = set(self.review_ids[: self.settings.review])
        for ord_, image_id in enumerate(ids) if wanted else ():
            if image_id in wanted:
                self._review[image_id] = Found(0.0, image_id, shard_id, ord_)

    def _offer(
        self, kept: SmallestRows, keys: NDArray[Any], is_wanted: NDArray[np.bool_], ids: Sequence[str], shard_id: int
    ) -> None:
        ords = np.flatnonzero(is_wanted)
        kept.offer(keys[ords], ords, image_ids=ids, shard_id=shard_id)

    def select(self) -> Selection:
        """The images to draw: the policies take turns until the cap."""
        review = [self._review[image_id] for image_id in self.review_ids if image_id in self._review]
        by_class = {self.class_names[key]: self._by_class[key].rows() for key in sorted(self._by_class)}
        by_error = {status: self._by_error[status].rows() for status in sorted(self._by_error)}
        turns = {
            "worst": ranked({"": self._worst.rows()}, policy="worst"),
            "review": ranked({"": review}, policy="review"),
            "per_error": ranked(by_error, policy="per_error"),
            "per_class": ranked(by_class, policy="per_class"),
            "random": ranked({"": self._random.rows()}, policy="random"),
        }
        return take_turns([turns[policy] for policy in POLICIES], cap=self.settings.max)


def ranked(groups: Mapping[str, Sequence[Found]], *, policy: str) -> list[tuple[Found, Reason]]:
    """The rows of a policy: the first of each group, then the second, and so on."""
    rounds = zip_longest(*groups.values())
    return [
        (found, Reason(policy=policy, rank=rank, group=group))
        for rank, entries in enumerate(rounds, start=1)
        for group, found in zip(groups, entries, strict=True)
        if found is not None
    ]


def take_turns(turns: Iterable[Sequence[tuple[Found, Reason]]], *, cap: int) -> Selection:
    """One row of each policy after the other until ``cap`` images; each image with all reasons that it has."""
    reasons: dict[Found, list[Reason]] = {}
    by_id: dict[str, Found] = {}
    for entries in zip_longest(*turns):
        for entry in entries:
            if entry is not None:
                found = by_id.setdefault(entry[0].image_id, entry[0])
                reasons.setdefault(found, []).append(entry[1])
    images = tuple(Chosen(found=found, reasons=tuple(why)) for found, why in list(reasons.items())[:cap])
    return Selection(images=images, num_wanted=len(reasons))


def classes_of(rows: pa.Table, *, task: TaskName) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each class that images show, with the places of their rows. Of masks, all classes but the background."""
    if task == "embedding":
        return
    if task == "classification":
        has_class = np.asarray(rows["class_id"].is_valid())
        ords = np.flatnonzero(has_class)
        class_ids = np.asarray(pc.drop_null(rows["class_id"]), np.int64)
    else:
        lists = rows[{"multilabel": "class_ids", "detection": "objects", "segmentation": "classes"}[task]]
        ords = np.asarray(pc.list_parent_indices(lists), np.int64)
        values = pc.list_flatten(lists)
        class_ids = np.asarray(values if task == "multilabel" else pc.struct_field(values, "class_id"), np.int64)
    pairs = np.unique(np.stack([class_ids, ords], axis=1), axis=0)  # (N, 2), by class, then by row
    for class_id in np.unique(pairs[:, 0]).tolist():
        if not (task == "segmentation" and class_id == 0):
            yield class_id, pairs[pairs[:, 0] == class_id, 1]
