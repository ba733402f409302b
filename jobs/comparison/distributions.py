"""The distributions of a run's columns, in constant space, and how far two runs' lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inference_core.stats.drift import Drift, drift_of, drift_of_classes
from inference_core.stats.histogram import UnitHistogram
from inference_core.stats.rows import reals_of
from inference_core.stats.sketch import QuantileSketch

NOT_COMPARED = ("row_id", "orientation", "page", "num_pages", "frame_index", "time_s", "class_id")
"""Numbers that are names, or that say nothing of an image's content."""
TIME_SUFFIX = "_ms"
UNIT_COLUMNS = ("score", "entropy", "foreground_frac", "uncertainty", "uncertain_frac", "mutual_information")
"""Shares, whose bins are even; other columns have bins that grow with the value."""
FRAC_SUFFIX = "_frac"


def is_share(name: str) -> bool:
    """Whether a column's values lie between 0 and 1."""
    return name in UNIT_COLUMNS or name.endswith(FRAC_SUFFIX)


def compared_columns(schema: pa.Schema) -> list[str]:
    """The columns of rows whose values are numbers of the image or the answer."""
    return [
        one.name
        for one in schema
        if (pa.types.is_floating(one.type) or pa.types.is_integer(one.type))
        and one.name not in NOT_COMPARED
        and not one.name.endswith(TIME_SUFFIX)
    ]


@dataclass(slots=True)
class Distributions:
    """What is folded of one run's rows."""

    shares: dict[str, UnitHistogram] = field(default_factory=dict)
    sizes: dict[str, QuantileSketch] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    num_rows: int = 0

    def add(self, rows: pa.Table, columns: list[str]) -> None:
        """Fold rows; values of those without an answer do not count."""
        self.num_rows += rows.num_rows
        for status in rows["status"].to_pylist():
            self.statuses[status] = self.statuses.get(status, 0) + 1
        for name in columns:
            values = reals_of(rows[name])
            values = values[np.isfinite(values)]
            if is_share(name):
                self.shares[name] = self.shares.get(name, UnitHistogram.empty()).merge(UnitHistogram.of(values))
            else:
                self.sizes[name] = self.sizes.get(name, QuantileSketch.empty()).merge(QuantileSketch.of(values))


def drifts_between(first: Distributions, second: Distributions) -> dict[str, Drift]:
    """The drift of each column that both runs have values of."""
    found: dict[str, Drift | None] = {}
    for name in sorted(first.shares.keys() & second.shares.keys()):
        found[name] = drift_of(*(np.array(one.shares[name].counts, np.int64) for one in (first, second)))
    for name in sorted(first.sizes.keys() & second.sizes.keys()):
        found[name] = drift_of(*aligned(first.sizes[name], second.sizes[name]))
    return {name: drift for name, drift in found.items() if drift is not None}


def aligned(one: QuantileSketch, other: QuantileSketch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The counts of two sketches over the bins that either has, zeros first."""
    keys = sorted({key for key, _ in (*one.bins, *other.bins)})
    tables = [dict(sketch.bins) for sketch in (one, other)]
    counts = [
        np.array([sketch.num_zeros, *(table.get(key, 0) for key in keys)], np.int64)
        for sketch, table in zip((one, other), tables, strict=True)
    ]
    return counts[0], counts[1]


def drift_by_name(reference: Mapping[str, int], found: Mapping[str, int]) -> Drift | None:
    """The drift of counts by name, such as images by class."""
    names = sorted({*reference, *found})
    return drift_of_classes(*(np.array([part.get(name, 0) for name in names], np.int64) for part in (reference, found)))
