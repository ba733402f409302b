from __future__ import annotations

import socket
import sys
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs.metrics.names import METRICS, RUN_LABELS
from jobs.metrics.pool_loads import PoolLoads
from jobs.metrics.run_totals import RunTotals
from jobs.metrics.server import serve_metrics
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job


@pytest.fixture
def totals(make_job: MakeJob, classifier: ModelPackage) -> RunTotals:
    plan = plan_job(make_job(), classifier)
    return RunTotals(plan, num_rows=10, num_shards=1, is_whole=True, num_attempts=1, started_s=1.5, loads=PoolLoads())


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return answer.read().decode()


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_prometheus_reads_what_is_served(totals: RunTotals, address: str) -> None:
    with serve_metrics(totals, address=address, port=0) as url:
        families = {family.name: family for family in text_string_to_metric_families(read(url))}
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        for sample in family.samples:
            assert sample.name == metric.name
            assert set(sample.labels) == {*RUN_LABELS, *metric.labels}
    assert families["millrace_images_listed"].samples[0].value == 10
    assert "process_resident_memory_bytes" in families


def test_nobody_answers_when_the_run_is_over(totals: RunTotals) -> None:
    with serve_metrics(totals, address="127.0.0.1", port=0) as url:
        assert read(url)
    with pytest.raises(OSError, match="refused"):
        read(url)
    port = int(url.split(":")[-1].split("/")[0])
    with serve_metrics(totals, address="127.0.0.1", port=port) as again:
        assert again == url


def test_a_port_that_is_taken_is_refused(totals: RunTotals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=r"execution\.metrics_port: must be a free port of 127.0.0.1, got"),
            serve_metrics(totals, address="127.0.0.1", port=port),
        ):
            pass


def test_an_address_of_another_machine_is_refused(totals: RunTotals) -> None:
    with pytest.raises(ConfigError, match=r"must be a free port of 203\.0\.113\.1"):
        serve_metrics(totals, address="203.0.113.1", port=0).__enter__()


def test_the_extra_that_is_missing_is_named(totals: RunTotals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match=r"pip install 'millrace\[metrics\]'"):
        serve_metrics(totals, address="127.0.0.1", port=0).__enter__()
