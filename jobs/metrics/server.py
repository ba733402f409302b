"""Serve a run's metrics over HTTP, as Prometheus scrapes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inference_core.errors import ConfigError
from jobs.metrics.names import METRICS, RUN_LABELS
from jobs.metrics.run_totals import RunTotals

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class RunCollector:
    """Gives Prometheus's library the metrics of a run as they are when it asks."""

    def __init__(self, totals: RunTotals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """All families, those without a sample too."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        samples, run_labels = self._totals.samples(), self._totals.run_labels
        kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
        for metric in METRICS:
            family = kinds[metric.kind](metric.name, metric.meaning, labels=(*RUN_LABELS, *metric.labels))
            for labels, value in samples.get(metric.name, []):
                family.add_metric((*run_labels, *labels), value)
            yield family


@contextmanager
def serve_metrics(totals: RunTotals, *, address: str, port: int) -> Iterator[str]:
    """Serve until the context ends, together with what Prometheus tells of any process (of the driver, here).

    Args:
        totals: what is served.
        address: of this machine, to listen at.
        port: likewise; 0 for any that is free.

    Yields:
        The URL.

    Raises:
        ConfigError: the library is not installed, or nobody can listen there.
    """
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
    except ImportError as exc:
        raise ConfigError("execution.metrics_port needs Prometheus's client; pip install 'millrace[metrics]'") from exc
    registry = CollectorRegistry()
    registry.register(RunCollector(totals))
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, addr=address, registry=registry)
    except (OSError, OverflowError) as exc:
        raise ConfigError(
            f"must be a free port of {address}, got {port} ({exc}); choose another, or 0 for any that is free",
            key="execution.metrics_port",
        ) from exc
    try:
        host = f"[{address}]" if ":" in address else address
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
