"""Metrics as text for Prometheus, those of all processes of a machine together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from inference_core.errors import ConfigError
from serve.metrics.names import METRICS, REPLICA, Metric
from serve.metrics.tally import Histogram, Snapshot

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family


def write_exposition(snapshots: Sequence[Snapshot], *, accept: str = "") -> tuple[bytes, str]:
    """The text and its content type.

    Args:
        snapshots: of all processes.
        accept: the header of whoever asks: a newer format where it is known.

    Raises:
        ConfigError: the library is not installed.
    """
    try:
        from prometheus_client.exposition import choose_encoder
        from prometheus_client.registry import CollectorRegistry
    except ImportError as exc:
        raise ConfigError("/metrics needs Prometheus's client; pip install 'millrace[serve]'") from exc
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(snapshots))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class SnapshotCollector:
    """Gives Prometheus's library families out of snapshots."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterator[Family]:
        """All families, those without a sample too."""
        for metric in METRICS:
            yield build_family(metric, self._snapshots)


def build_family(metric: Metric, snapshots: Sequence[Snapshot]) -> Family:
    """One family with the samples of all processes."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    labels = (REPLICA, *metric.labels)
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.meaning, labels=labels)
        for snapshot in snapshots:
            for values, found in snapshot.histograms.get(metric.name, {}).items():
                histogram.add_metric((snapshot.replica, *values), buckets_of(metric, found), found.total)
        return histogram
    cls = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family: CounterMetricFamily | GaugeMetricFamily = cls(metric.name, metric.meaning, labels=labels)
    for snapshot in snapshots:
        for values, value in snapshot.values.get(metric.name, {}).items():
            family.add_metric((snapshot.replica, *values), value)
    return family


def buckets_of(metric: Metric, found: Histogram) -> list[tuple[str, float]]:
    """Upper ends, as text, and how many values lie at or below each."""
    ends = [*map(str, metric.buckets), "+Inf"]
    return list(zip(ends, accumulate(found.counts), strict=True))
