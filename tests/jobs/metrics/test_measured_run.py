"""Runs without Ray that are scraped while they work."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from inference_core.models.package import ModelPackage
from jobs.commits import CommitLog
from jobs.config import JobConfig
from jobs.found_state import find_state
from jobs.metrics.measured_run import measured
from jobs.metrics.pool_loads import PoolLoads
from jobs.progress import Counter, LineProgress, make_progress
from jobs.seen_shards import SeenShards
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import list_job, plan_job, run_shards

ROOT = Path(__file__).resolve().parents[3]


def read(url: str) -> dict[tuple[str, str], float]:
    """The value of each metric by its name and the value of its last own label, "" where it has none."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    values = {}
    for sample in (sample for family in families for sample in family.samples):
        own = [value for name, value in sample.labels.items() if name not in ("run_id", "model")]
        values[sample.name, own[-1] if own else ""] = sample.value
    return values


def wait_for(url: str, name: str, expected: float) -> dict[tuple[str, str], float]:
    deadline_s = time.monotonic() + 30
    while (values := read(url)).get((name, "")) != expected and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert values[name, ""] == expected
    return values


@pytest.fixture
def config(make_job: MakeJob) -> JobConfig:
    return make_job(execution__rows_per_shard=4, execution__metrics_port=0)


def quiet(total: int, done: int) -> LineProgress:
    return LineProgress(Counter(total=total, done=done), log_format="json")


def test_a_resumed_run_is_told_whole_and_each_shard_once(config: JobConfig, classifier: ModelPackage) -> None:
    plan = plan_job(config, classifier)
    run_shards(config, classifier, plan, [1])
    listing = list_job(config)
    state = find_state(config.output, plan, listing, is_new=False)
    said: list[str] = []
    with measured(config, plan, listing, todo=state.todo, notice=said.append) as measure:
        (line,) = said
        url = line.removeprefix("metrics at ")
        assert url.startswith("http://127.0.0.1:")
        with measure(quiet(10, state.rows_done)) as progress:
            assert wait_for(url, "millrace_shards_committed_total", 1)["millrace_images_listed", ""] == 10
            seen = SeenShards(config.output, state.todo, progress)
            run_shards(config, classifier, plan, [0])
            seen.look()
            wait_for(url, "millrace_shards_committed_total", 2)
            seen.add(run_shards(config, classifier, plan, [0, 2]))
            progress.advance(shard_id=2, num_rows=0, num_failed=0)  # told twice
            progress.extend(num_rows=99, num_shards=30, is_whole=False)
            progress.say("x")
        # The report is written now; what is scraped meanwhile is final.
        values = read(url)
    assert values["millrace_shards_committed_total", ""] == 3
    assert (values["millrace_images_total", "ok"], values["millrace_images_total", "decode_error"]) == (7, 2)
    assert (values["millrace_images_listed", ""], values["millrace_listing_whole", ""]) == (99, 0)
    assert PoolLoads.current is None


def test_a_record_that_cannot_be_read_stops_the_metrics_and_nothing_else(
    config: JobConfig, classifier: ModelPackage
) -> None:
    plan = plan_job(config, classifier)
    run_shards(config, classifier, plan, [0])
    Path(CommitLog(config.output).uri_of(0).removeprefix("file://")).write_bytes(b"torn")
    said: list[str] = []
    listing = list_job(config)
    with (
        measured(config, plan, listing, todo=[1, 2], notice=said.append) as measure,
        measure(quiet(10, 4)) as progress,
    ):
        progress.advance(shard_id=1, num_rows=4, num_failed=0)
    assert said[1].startswith("metrics stand still: ")
    assert "must be a commit record" in said[1]


def test_without_a_port_nothing_is_served_nor_loaded(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    plan = plan_job(config, classifier)
    said: list[str] = []
    shown = make_progress(Counter(total=1, done=0), log_format="text", console=Console(file=io.StringIO()))
    with measured(config, plan, list_job(config), todo=[0], notice=said.append) as measure:
        assert measure(shown) is shown
    assert said == []


def test_the_commands_load_neither_the_client_nor_nvml() -> None:
    code = (
        "import sys, jobs.cli, jobs.stages, jobs.metrics.measured_run; "
        "print([name for name in ('prometheus_client', 'pynvml', 'ray', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
