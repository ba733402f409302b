"""Charts as numbers that the template draws: heights, cells, lines, and the ticks of their axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inference_core.stats.grid import NUM_ROWS, Grid, column_edges
from inference_core.stats.histogram import NUM_BINS, UnitHistogram
from jobs.report.number_text import count_text, quantity_text
from jobs.report.shown_evaluation import ShownBin, ShownEvaluation

NUM_SHADES = 8
"""Of a cell; each stands for about the same step of the logarithm of its images."""
AXIS_WORDS = {"size": "side of a square image of the same area, px", "brightness": "brightness"}
NUM_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramBar:
    """One bin of a histogram."""

    low: float
    high: float
    count: int
    height_frac: float
    """Of the highest bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramFigure:
    """A histogram with what it is held to."""

    bars: list[HistogramBar]
    reference: list[float]
    """Heights of the reference's bars on the same scale, as if it had as many values; empty without one."""

    @property
    def counts_text(self) -> str:
        """The counts for the script."""
        return " ".join(str(bar.count) for bar in self.bars)

    @property
    def highest(self) -> HistogramBar:
        """The bin that holds most."""
        return max(self.bars, key=lambda bar: bar.count)


def histogram_figure(histogram: UnitHistogram, reference: Sequence[int] = ()) -> HistogramFigure:
    """A bar for each bin, and the outline of a reference."""
    highest = max(*histogram.counts, 1)
    total = sum(reference)
    scale = histogram.count / total / highest if total and len(reference) == NUM_BINS else 0.0
    return HistogramFigure(
        bars=[
            HistogramBar(low=k / NUM_BINS, high=(k + 1) / NUM_BINS, count=count, height_frac=count / highest)
            for k, count in enumerate(histogram.counts)
        ],
        reference=[count * scale for count in reference] if scale else [],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatCell:
    """Images of about the same property and uncertainty."""

    column: int
    row: int
    """From the top, where uncertainty is highest."""
    images: int
    shade: int
    """1 to NUM_SHADES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatFigure:
    """A histogram of uncertainty against a property, and its mean."""

    name: str
    axis_words: str
    edges: list[float]
    """(columns + 1,) of the columns that are shown: those between the first and the last image."""
    cells: list[HeatCell]
    means: list[float | None]
    """(columns,) mean uncertainty of each column's images, taken from the middles of cells; None without images."""
    num_images: int

    @property
    def line(self) -> str:
        """The means as an SVG path in a box of columns x 32: a dash for each column that has any."""
        heights = [(k, NUM_ROWS * (1 - mean)) for k, mean in enumerate(self.means) if mean is not None]
        return "".join(f"M{k} {height:.3f}h1" for k, height in heights)

    @property
    def cells_text(self) -> str:
        """Column, row and images of each cell for the script."""
        return " ".join(f"{cell.column},{cell.row},{cell.images}" for cell in self.cells)

    @property
    def edges_text(self) -> str:
        """The edges for the script."""
        return " ".join(f"{edge:.6g}" for edge in self.edges)

    @property
    def ticks(self) -> list[str]:
        """What stands below the axis, from left to right."""
        places = np.linspace(0, len(self.edges) - 1, NUM_TICKS)
        values = np.interp(places, np.arange(len(self.edges)), self.edges)
        return [tick_text(value) for value in values.tolist()]


def tick_text(value: float) -> str:
    """A number below an axis: sides in whole pixels, shares with two places."""
    return quantity_text(round(value)) if value > 2 else f"{value:.2g}"


def heat_figures(grids: Mapping[str, Grid]) -> list[HeatFigure]:
    """A figure for each histogram that holds anything."""
    return [heat_figure(name, grid) for name, grid in sorted(grids.items(), reverse=True) if grid.cells]


def heat_figure(name: str, grid: Grid) -> HeatFigure:
    """The columns between the first and the last image, and one more on each side."""
    counts = grid.dense()  # (columns, rows)
    used = np.flatnonzero(counts.sum(axis=1))
    first, last = max(int(used[0]) - 1, 0), min(int(used[-1]) + 1, len(counts) - 1)
    shown = counts[first : last + 1]
    most = math.log1p(int(shown.max()))
    middles = (np.arange(NUM_ROWS) + 0.5) / NUM_ROWS
    totals = shown.sum(axis=1).tolist()
    sums = (shown @ middles).tolist()
    return HeatFigure(
        name=name,
        axis_words=AXIS_WORDS[grid.axis],
        edges=column_edges(grid.axis)[first : last + 2].tolist(),
        cells=[
            HeatCell(
                column=column,
                row=NUM_ROWS - 1 - row,
                images=int(shown[column, row]),
                shade=max(1, math.ceil(NUM_SHADES * math.log1p(int(shown[column, row])) / most)),
            )
            for column, row in np.argwhere(shown).tolist()
        ],
        means=[total_sum / total if total else None for total_sum, total in zip(sums, totals, strict=True)],
        num_images=grid.count,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityPoint:
    """Scores of one bin."""

    score: float
    """Their mean."""
    right_frac: float
    count: float
    size: float
    """Radius on a chart of 100 x 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityFigure:
    """What scores say, and how often they are right."""

    name: str
    points: list[ReliabilityPoint]

    @property
    def line(self) -> str:
        """The points of an SVG line in a box of 100 x 100."""
        return " ".join(f"{100 * one.score:.2f},{100 * (1 - one.right_frac):.2f}" for one in self.points)


def reliability_figures(evaluation: ShownEvaluation | None) -> list[ReliabilityFigure]:
    """The diagram of an evaluation; where something was fitted, that before and that after."""
    if evaluation is None:
        return []
    fitted = evaluation.fit.calibration if evaluation.fit else None
    tables = {"as they are": evaluation.reliability or ()}
    if fitted:
        tables = {"before": fitted.before.reliability, "after": fitted.after.reliability}
    return [reliability_figure(name, bins) for name, bins in tables.items() if bins]


def reliability_figure(name: str, bins: Sequence[ShownBin]) -> ReliabilityFigure:
    """One line of a diagram."""
    most = max(one.count for one in bins)
    return ReliabilityFigure(
        name=name,
        points=[
            ReliabilityPoint(
                score=one.score_mean,
                right_frac=one.right_frac,
                count=one.count,
                size=1 + 2.5 * math.sqrt(one.count / most),
            )
            for one in bins
        ],
    )


def heat_text(figure: HeatFigure) -> str:
    """The figure in a sentence, for those who do not see it."""
    known = [(mean, k) for k, mean in enumerate(figure.means) if mean is not None]
    (least, at_least), (most, at_most) = min(known), max(known)
    where, at = tick_text(figure.edges[at_least]), tick_text(figure.edges[at_most])
    return (
        f"Uncertainty by {figure.name} of {count_text(figure.num_images)} images; the mean is highest, {most:.2f}, "
        f"around {at}, and lowest, {least:.2f}, around {where}"
    )
