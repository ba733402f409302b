"""Histograms of two numbers at once, with fixed bins: uncertainty by the size and the brightness of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inference_core.output_spec import TaskName
from inference_core.quality_fields import FIELDS
from inference_core.stats.json_record import NO_EXTRA, Count
from inference_core.stats.rows import reals_of

Axis = Literal["size", "brightness"]
NUM_COLUMNS: dict[Axis, int] = {"size": 40, "brightness": 32}
NUM_ROWS = 32
"""Of uncertainty, equal bins over [0, 1]. A power of two, so that every edge is exact."""
MIN_SIDE_PX = 16
"""Of a square image as large: where the bins of ``size`` begin. Each ends at 2^(1/4) of its begin, the last at 2^14."""
BINS_PER_DOUBLE = 4
UNCERTAINTY_OF: dict[TaskName, tuple[str, bool]] = {
    "classification": ("entropy", False),
    "multilabel": ("entropy", False),
    "detection": ("score", True),
    "segmentation": ("uncertainty", False),
}
"""Column of each task's uncertainty, and whether it is 1 less that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Counts of images by uncertainty and one property of theirs; at most 40 x 32 of them, whatever their number."""

    __pydantic_config__ = NO_EXTRA

    axis: Axis
    """The property, along the columns."""
    cells: tuple[tuple[Count, Count], ...]
    """(cell, images) by rising cell, of cells that hold any: column times 32 plus row, both from the lowest value."""

    def __post_init__(self) -> None:
        keys = [cell for cell, _ in self.cells]
        if any(a >= b for a, b in pairwise(keys)) or (keys and keys[-1] >= NUM_COLUMNS[self.axis] * NUM_ROWS):
            raise ValueError(f"cells must rise and be below {NUM_COLUMNS[self.axis] * NUM_ROWS}")

    @classmethod
    def of(cls, axis: Axis, values: NDArray[np.float64], uncertainties: NDArray[np.float64]) -> Grid:
        """Fold N images; those of which one number is not finite are left out, those beyond the ends count there.

        Args:
            axis: what the values are.
            values: (N,) brightness from 0 to 1, or for ``size`` areas in pixels.
            uncertainties: (N,) from 0 to 1.
        """
        is_known = np.isfinite(values) & np.isfinite(uncertainties)
        columns = (area_bins if axis == "size" else unit_bins)(values[is_known], NUM_COLUMNS[axis])
        rows = unit_bins(uncertainties[is_known], NUM_ROWS)
        found, counts = np.unique(columns * NUM_ROWS + rows, return_counts=True)
        return cls(axis=axis, cells=tuple(zip(found.tolist(), counts.tolist(), strict=True)))

    def merge(self, other: Grid) -> Grid:
        """The histogram of both sets of images. Exact, associative and commutative.

        Raises:
            ValueError: they are of different properties.
        """
        if self.axis != other.axis:
            raise ValueError(f"axis must be {self.axis} to be merged, got {other.axis}; merge those of one property")
        counts = Counter(dict(self.cells))
        counts.update(dict(other.cells))
        return Grid(axis=self.axis, cells=tuple(sorted(counts.items())))

    @property
    def count(self) -> int:
        """How many images were folded."""
        return sum(images for _, images in self.cells)

    def dense(self) -> NDArray[np.int64]:
        """(columns, 32) int64 counts."""
        counts = np.zeros((NUM_COLUMNS[self.axis], NUM_ROWS), np.int64)
        for cell, images in self.cells:
            counts[divmod(cell, NUM_ROWS)] = images
        return counts


def unit_bins(values: NDArray[np.float64], num_bins: int) -> NDArray[np.int64]:
    """The equal bin over [0, 1] of each of (N,) values; the last bin is closed."""
    return np.minimum(np.floor(np.clip(values, 0.0, 1.0) * num_bins), num_bins - 1).astype(np.int64)


def area_bins(areas_px: NDArray[np.float64], num_bins: int) -> NDArray[np.int64]:
    """The bin of each of (N,) areas, two for each doubling: from the number's own exponent, so equal on any machine."""
    mantissas, exponents = np.frexp(areas_px / MIN_SIDE_PX**2)  # areas are 2^exponent times 0.5 to 1
    upper = mantissas >= np.sqrt(0.5)
    bins: NDArray[np.int64] = np.clip(2 * (exponents - 1) + upper, 0, num_bins - 1).astype(np.int64)
    return bins


def column_edges(axis: Axis) -> NDArray[np.float64]:
    """(columns + 1,) where the columns begin, and the last one ends; for ``size`` the side of a square image."""
    steps = np.arange(NUM_COLUMNS[axis] + 1, dtype=np.float64)
    return MIN_SIDE_PX * 2 ** (steps / BINS_PER_DOUBLE) if axis == "size" else steps / NUM_COLUMNS[axis]


def uncertainty_grids(ok: pa.Table, *, task: TaskName) -> dict[str, Grid]:
    """The histograms that rows with status ok allow, by property; none where they have no statistics."""
    asked = {one.name for one in FIELDS if one.group is not None and task in one.tasks} & set(ok.column_names)
    name, is_score = UNCERTAINTY_OF.get(task, ("", False))
    if not asked or not ok.num_rows or name not in ok.column_names:
        return {}
    values = reals_of(ok[name])
    uncertainties = 1 - values if is_score else values
    areas = reals_of(ok["height"]) * reals_of(ok["width"])
    grids = {"size": Grid.of("size", areas, uncertainties)}
    if "brightness" in ok.column_names:
        grids["brightness"] = Grid.of("brightness", reals_of(ok["brightness"]), uncertainties)
    return grids


def merge_grids(one: Mapping[str, Grid], two: Mapping[str, Grid]) -> dict[str, Grid]:
    """The histograms of both, by property. Exact, associative and commutative."""
    return {
        name: one[name].merge(two[name]) if name in one and name in two else (one.get(name) or two[name])
        for name in sorted({*one, *two})
    }
