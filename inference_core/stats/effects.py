"""What the steps of postprocessing did to the masks of a set of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inference_core.stats.json_record import NO_EXTRA, Count, Text
from inference_core.stats.rows import integers_of

EFFECTS_COLUMN = "postprocess"


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectCounts:
    """What a step did to one class, or to all of them."""

    __pydantic_config__ = NO_EXTRA

    images: Count
    """In which it changed a pixel."""
    components: Count
    """Components that it removed, or holes that it filled; 0 of steps that look at neither."""
    pixels: Count
    """Pixels that it changed."""

    def merge(self, other: EffectCounts) -> EffectCounts:
        """Those of both. Exact, associative and commutative."""
        return EffectCounts(
            images=self.images + other.images,
            components=self.components + other.components,
            pixels=self.pixels + other.pixels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCounts:
    """What one step did."""

    __pydantic_config__ = NO_EXTRA

    name: Text
    """Of the step, or the import path of a function."""
    value: Count | None
    """Its number, None where it has none."""
    all_classes: EffectCounts
    """An image of which it changed several classes counts once."""
    classes: Mapping[Text, EffectCounts]
    """By class id, those that it changed somewhere."""

    def merge(self, other: StepCounts) -> StepCounts:
        """Those of both. Exact, associative and commutative.

        Raises:
            ValueError: they are of different steps.
        """
        if (self.name, self.value) != (other.name, other.value):
            raise ValueError(
                f"name and value must be equal to be merged, got {self.name} {self.value} and {other.name} "
                f"{other.value}; sum up one model only"
            )
        class_ids = sorted({*self.classes, *other.classes}, key=int)
        return StepCounts(
            name=self.name,
            value=self.value,
            all_classes=self.all_classes.merge(other.all_classes),
            classes={
                class_id: self.classes.get(class_id, NOTHING).merge(other.classes.get(class_id, NOTHING))
                for class_id in class_ids
            },
        )


NOTHING = EffectCounts(images=0, components=0, pixels=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectStats:
    """Of rows of a package that declares steps; empty of others."""

    __pydantic_config__ = NO_EXTRA

    images: Count = 0
    """That went through the steps."""
    steps: tuple[StepCounts, ...] = ()
    """In the order of the package."""

    @classmethod
    def of(cls, ok: pa.Table) -> EffectStats:
        """Fold rows with status ok; those taken over from a run that did not count are left out."""
        if EFFECTS_COLUMN not in ok.column_names:
            return cls()
        lists = ok[EFFECTS_COLUMN].drop_null()
        if not len(lists):
            return cls()
        entries = pc.list_flatten(lists).combine_chunks()
        num_steps = len(entries) // len(lists)
        steps = [entries.take(pa.array(range(index, len(entries), num_steps))) for index in range(num_steps)]
        return cls(images=len(lists), steps=tuple(counts_of(step) for step in steps))

    def merge(self, other: EffectStats) -> EffectStats:
        """Those of both. Exact, associative and commutative.

        Raises:
            ValueError: they are of different steps.
        """
        pairs = zip_longest(self.steps, other.steps)
        return EffectStats(
            images=self.images + other.images,
            steps=tuple(one.merge(two) if one and two else one or two for one, two in pairs),
        )


def counts_of(entries: pa.Array) -> StepCounts:
    """One step's entries, one of each image, as its counts."""
    classes = pc.list_flatten(pc.struct_field(entries, "classes"))
    class_ids, components, pixels = (field_of(classes, name) for name in ("class_id", "components", "pixels"))
    return StepCounts(
        name=pc.struct_field(entries, "name")[0].as_py(),
        value=pc.struct_field(entries, "value")[0].as_py(),
        all_classes=sum_up(field_of(entries, "components"), field_of(entries, "pixels")),
        classes={
            str(class_id): sum_up(components[class_ids == class_id], pixels[class_ids == class_id])
            for class_id in np.unique(class_ids).tolist()
        },
    )


def field_of(entries: pa.Array, name: str) -> NDArray[np.int64]:
    """(N,) int64 of one field of (N,) structs."""
    return integers_of(pc.struct_field(entries, name), name=f"{EFFECTS_COLUMN}.{name}")


def sum_up(components: NDArray[np.int64], pixels: NDArray[np.int64]) -> EffectCounts:
    """The counts of (N,) images."""
    return EffectCounts(
        images=int(np.count_nonzero(pixels)), components=int(components.sum()), pixels=int(pixels.sum())
    )
