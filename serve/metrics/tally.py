"""Counts and histograms of one process, in plain numbers: noting something costs less than a microsecond."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from serve.metrics.names import Metric

Labels = tuple[str, ...]
"""Values of a metric's own labels, in their order."""


@dataclass(slots=True)
class Histogram:
    """How many values lie in each bucket."""

    counts: list[int]
    """By bucket, not added up; the last has no upper end."""
    total: float = 0.0
    """Sum of the values."""


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """All metrics of a process at one moment."""

    replica: str
    values: dict[str, dict[Labels, float]] = field(default_factory=dict)
    """Counters and gauges by name and labels."""
    histograms: dict[str, dict[Labels, Histogram]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return {
            "replica": self.replica,
            "values": [[name, labels, value] for name, rows in self.values.items() for labels, value in rows.items()],
            "histograms": [
                [name, labels, found.counts, found.total]
                for name, rows in self.histograms.items()
                for labels, found in rows.items()
            ],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Snapshot:
        """The inverse of ``to_json``."""
        snapshot = cls(replica=data["replica"])
        for name, labels, value in data["values"]:
            snapshot.values.setdefault(name, {})[tuple(labels)] = value
        for name, labels, counts, total in data["histograms"]:
            snapshot.histograms.setdefault(name, {})[tuple(labels)] = Histogram(counts, total)
        return snapshot


class Tally:
    """Everything that one process counts; used on one event loop, so that nothing is locked."""

    def __init__(self) -> None:
        self._values: defaultdict[str, defaultdict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self._histograms: defaultdict[str, dict[Labels, Histogram]] = defaultdict(dict)

    def add(self, metric: Metric, labels: Labels = (), amount: float = 1.0) -> None:
        """Count something; a gauge may also go down."""
        self._values[metric.name][labels] += amount

    def observe(self, metric: Metric, labels: Labels, value: float) -> None:
        """Put a value into a histogram."""
        rows = self._histograms[metric.name]
        found = rows.get(labels)
        if found is None:
            found = rows[labels] = Histogram([0] * (len(metric.buckets) + 1))
        found.counts[bisect_left(metric.buckets, value)] += 1
        found.total += value

    def snapshot(self, replica: str) -> Snapshot:
        """A copy of all that was counted."""
        return Snapshot(
            replica=replica,
            values={name: dict(rows) for name, rows in self._values.items()},
            histograms={
                name: {labels: Histogram(found.counts.copy(), found.total) for labels, found in rows.items()}
                for name, rows in self._histograms.items()
            },
        )
