"""What several forwards for one answer bring: what each view or member changes, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

import pyarrow as pa
import pyarrow.compute as pc

from inference_core.stats.fixed_point import REAL_BITS
from inference_core.stats.json_record import NO_EXTRA, Text
from inference_core.stats.moments import Moments
from inference_core.stats.rows import reals_of

SPREAD_COLUMNS = ("mutual_information", "score_std", "uncertainty", "uncertain_frac")
"""Columns of how far forwards agree, where the rows have them."""
SET_COLUMN, SET_SIZE = "prediction_set", "set_size"
GAINS_COLUMN = "gains"


@dataclass(frozen=True, slots=True, kw_only=True)
class GainCounts:
    """What one view or member changed, over the images."""

    __pydantic_config__ = NO_EXTRA

    name: Text
    changed_frac: Moments
    """Of the shares of what is decided that it changed."""
    score_shift: Moments
    """Of the mean absolute changes of scores."""

    def merge(self, other: GainCounts) -> GainCounts:
        """Those of both. Exact, associative and commutative.

        Raises:
            ValueError: they are of different views.
        """
        if self.name != other.name:
            raise ValueError(
                f"name must be equal to be merged, got {self.name} and {other.name}; sum up one model only"
            )
        return GainCounts(
            name=self.name,
            changed_frac=self.changed_frac.merge(other.changed_frac),
            score_shift=self.score_shift.merge(other.score_shift),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardStats:
    """Of rows whose answers are merged of several forwards; empty where they are not."""

    __pydantic_config__ = NO_EXTRA

    gains: tuple[GainCounts, ...] = ()
    """Of every view or member after the first, in order."""
    quantities: Mapping[Text, Moments] = field(default_factory=dict)
    """Of SPREAD_COLUMNS and of the size of prediction sets, those that the rows have."""

    @classmethod
    def of(cls, ok: pa.Table) -> ForwardStats:
        """Fold rows with status ok."""
        if not ok.num_rows:
            return cls()
        quantities = {
            name: Moments.of(reals_of(ok[name]), fraction_bits=REAL_BITS)
            for name in SPREAD_COLUMNS
            if name in ok.column_names
        }
        if SET_COLUMN in ok.column_names:
            sizes = pc.list_value_length(ok[SET_COLUMN])
            quantities[SET_SIZE] = Moments.of(reals_of(sizes), fraction_bits=0)
        return cls(gains=gains_of(ok), quantities=quantities)

    def merge(self, other: ForwardStats) -> ForwardStats:
        """Those of both. Exact, associative and commutative.

        Raises:
            ValueError: they are of different views.
        """
        pairs = zip_longest(self.gains, other.gains)
        names = sorted({*self.quantities, *other.quantities})
        return ForwardStats(
            gains=tuple(one.merge(two) if one and two else one or two for one, two in pairs),
            quantities={name: merge_found(self.quantities.get(name), other.quantities.get(name)) for name in names},
        )


def merge_found(one: Moments | None, two: Moments | None) -> Moments:
    """The moments of both, one of which may be absent."""
    if one is None or two is None:
        found = one or two
        assert found is not None, "a name comes from one of them"
        return found
    return one.merge(two)


def gains_of(ok: pa.Table) -> tuple[GainCounts, ...]:
    """What each view changed, of rows that all tell of the same views."""
    if GAINS_COLUMN not in ok.column_names:
        return ()
    lists = ok[GAINS_COLUMN].drop_null()
    if not len(lists):
        return ()
    flat = pc.list_flatten(lists).combine_chunks()
    count = len(lists[0])
    steps = [flat.take(pa.array(range(index, len(flat), count))) for index in range(count)]
    return tuple(
        GainCounts(
            name=pc.struct_field(step, "name")[0].as_py(),
            changed_frac=Moments.of(reals_of(pc.struct_field(step, "changed_frac"))),
            score_shift=Moments.of(reals_of(pc.struct_field(step, "score_shift"))),
        )
        for step in steps
    )
