from __future__ import annotations

import pytest

from inference_core.gpu_use import GpuUse
from inference_core.models.package import ModelPackage
from inference_core.status import STATUSES
from jobs.bottleneck import WORK
from jobs.commits import CommitLog, CommitRecord
from jobs.metrics.names import METRICS
from jobs.metrics.pool_loads import PoolLoad, PoolLoads
from jobs.metrics.run_totals import RunTotals
from jobs.plan import Plan
from jobs.worker_facts import WorkerFacts
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, run_shards

GPU = GpuUse(host="a", gpu="0", name="H100", busy_frac=0.5, used_bytes=10, total_bytes=100)


@pytest.fixture
def plan(make_job: MakeJob, classifier: ModelPackage) -> Plan:
    return plan_job(make_job(execution__rows_per_shard=4), classifier)


@pytest.fixture
def records(make_job: MakeJob, classifier: ModelPackage, plan: Plan) -> list[CommitRecord]:
    """Three shards of seven good and three bad images."""
    config = make_job(execution__rows_per_shard=4)
    run_shards(config, classifier, plan)
    return list(CommitLog(config.output).read_many(range(3)))


def totals_of(plan: Plan, records: list[CommitRecord], loads: PoolLoads | None = None) -> RunTotals:
    totals = RunTotals(
        plan,
        num_rows=10,
        num_shards=3,
        is_whole=True,
        num_attempts=2,
        started_s=1000.0,
        loads=loads or PoolLoads(),
    )
    for record in records:
        totals.add(record)
    return totals


def value_of(totals: RunTotals, name: str, *labels: str) -> float:
    return dict(totals.samples()[name])[labels]


def test_before_the_first_commit_every_count_is_zero(plan: Plan) -> None:
    totals = totals_of(plan, [])
    assert totals.samples()["millrace_images_total"] == [((status,), 0) for status in STATUSES]
    assert totals.samples()["millrace_stage_seconds_total"] == [((stage,), 0.0) for stage in WORK]
    assert value_of(totals, "millrace_last_commit_timestamp_seconds") == 0
    assert value_of(totals, "millrace_attempts") == 2
    assert value_of(totals, "millrace_run_info", str(plan.identity["model_digest"]), "classification") == 1


def test_every_metric_has_a_name_in_the_table(plan: Plan, records: list[CommitRecord]) -> None:
    gpu = WorkerFacts(pool="infer", peak_bytes=1, gpu_peak_bytes=2, gpu=GPU)
    loads = PoolLoads()
    loads.note({"infer": PoolLoad(num_waiting=1, num_busy=2, num_failed=0, actors={"running": 1})})
    samples = totals_of(plan, [records[0].model_copy(update={"workers": (gpu,)})], loads).samples()
    assert set(samples) == {metric.name for metric in METRICS}
    for metric in METRICS:
        assert samples[metric.name], f"{metric.name} has no sample"
        assert {len(labels) for labels, _ in samples[metric.name]} == {len(metric.labels)}


def test_the_counts_are_those_of_the_records(plan: Plan, records: list[CommitRecord]) -> None:
    totals = totals_of(plan, records)
    assert totals.run_labels == (plan.run_id, plan.model_name)
    assert value_of(totals, "millrace_images_total", "ok") == 7
    assert value_of(totals, "millrace_images_total", "decode_error") == 2
    assert value_of(totals, "millrace_shards_committed_total") == 3
    assert value_of(totals, "millrace_shards_quarantined_total") == 0
    assert value_of(totals, "millrace_written_bytes_total") == sum(record.data.size_bytes for record in records)
    assert value_of(totals, "millrace_read_bytes_total") == sum(record.summary["total_bytes"] for record in records)
    last_s = max(record.started_s + record.wall_s for record in records)
    assert value_of(totals, "millrace_last_commit_timestamp_seconds") == last_s
    assert value_of(totals, "millrace_memory_peak_bytes", "workers") > 0
    assert value_of(totals, "millrace_memory_peak_bytes", "driver") > 0


def test_the_stages_take_the_time_of_the_shards(plan: Plan, records: list[CommitRecord]) -> None:
    totals = totals_of(plan, records)
    spent_s = sum(value for _, value in totals.samples()["millrace_stage_seconds_total"])
    # One thread does it all: what no verb takes is the writing.
    assert spent_s == pytest.approx(sum(record.wall_s for record in records), rel=0.05)
    split = tuple(WorkerFacts(pool=pool) for pool in ("prepare", "infer", "commit"))
    apart = totals_of(plan, [record.model_copy(update={"workers": split}) for record in records])
    assert value_of(apart, "millrace_stage_seconds_total", "write") > value_of(
        totals, "millrace_stage_seconds_total", "write"
    )


def test_what_workers_met_is_counted(plan: Plan, records: list[CommitRecord]) -> None:
    child = WorkerFacts(pool="quarantine", peak_bytes=1)
    actor = WorkerFacts(pool="infer", num_oom_halvings=2, gpu=GPU)
    newer = WorkerFacts(pool="infer", num_oom_halvings=1, gpu=GPU.model_copy(update={"busy_frac": None}))
    updates = [
        {"workers": (child,), "num_reused": 3},
        {"workers": (actor,), "num_duplicates": 2},
        {"workers": (newer,)},
    ]
    pairs = zip(records, updates, strict=True)
    totals = totals_of(plan, [record.model_copy(update=update) for record, update in pairs])
    assert value_of(totals, "millrace_shards_quarantined_total") == 1
    assert value_of(totals, "millrace_oom_halvings_total") == 3
    assert value_of(totals, "millrace_images_taken_over_total", "earlier_run") == 3
    assert value_of(totals, "millrace_images_taken_over_total", "duplicate") == 2
    assert totals.samples()["millrace_gpu_busy_ratio"] == []  # the newest word counts, and it says nothing
    assert value_of(totals, "millrace_gpu_memory_used_bytes", "a", "0", "H100") == 10


def test_a_listing_that_goes_on_is_told(plan: Plan) -> None:
    totals = totals_of(plan, [])
    totals.extend(num_rows=50, num_shards=9, is_whole=False)
    names = ("millrace_images_listed", "millrace_shards_listed", "millrace_listing_whole")
    assert [value_of(totals, name) for name in names] == [50, 9, 0]


def test_the_pools_are_those_of_the_pipeline_that_runs(plan: Plan) -> None:
    loads = PoolLoads()
    totals = totals_of(plan, [], loads)
    first = {"infer": PoolLoad(num_waiting=5, num_busy=2, num_failed=1, actors={"running": 2, "pending": 1})}
    loads.note(first)
    assert value_of(totals, "millrace_waiting_shards", "infer") == 5
    assert value_of(totals, "millrace_busy_calls", "infer") == 2
    assert value_of(totals, "millrace_actors", "infer", "pending") == 1
    loads.end(first)
    assert totals.samples()["millrace_waiting_shards"] == []
    loads.note({"infer": PoolLoad(num_waiting=0, num_busy=0, num_failed=2, actors={})})
    assert value_of(totals, "millrace_failed_calls_total", "infer") == 3  # of both pipelines
    assert totals.samples()["millrace_actors"] == []
