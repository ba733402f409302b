"""Plan, run and read jobs in this process, without Ray."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.models.package import ModelPackage, load_package
from jobs.attempts import AttemptRecord, note_attempt
from jobs.columns import SHARD_SCHEMA
from jobs.commits import CommitLog
from jobs.config import JobConfig
from jobs.driver import open_listing
from jobs.finalize import Outcome, finalize
from jobs.listing import Listing
from jobs.plan import Plan, find_plan, make_plan
from jobs.prepare_worker import prepare_worker
from jobs.stage_settings import StageSettings
from jobs.stages import WholeShards, commit_worker
from jobs.told_stages import stage_settings

TIMES = ("fetch_ms", "prepare_ms", "infer_ms", "finish_ms")


def plan_job(config: JobConfig, package: ModelPackage) -> Plan:
    """The plan of a job, found or made, with its whole listing stored."""
    plan = find_plan(config, package) or make_plan(config, package)
    list_job(config, package)
    return plan


def list_job(config: JobConfig, package: ModelPackage | None = None) -> Listing:
    """The whole listing of a job that is planned."""
    with open_listing(config, package or load_package(config.model)) as feed:
        listing = Listing()
        while not listing.is_whole:
            listing = feed.wait(num_known=len(listing.shards), patience_s=60.0)
    return listing


def worker_settings(config: JobConfig, package: ModelPackage, plan: Plan) -> StageSettings:
    """What workers are told, in a process that forgets earlier runs."""
    prepare_worker.cache_clear()
    commit_worker.cache_clear()
    return stage_settings(config, package, plan, list_job(config, package))


def run_shards(
    config: JobConfig, package: ModelPackage, plan: Plan, shard_ids: Iterable[int] | None = None
) -> pa.Table:
    """Commit shards, all by default, as an actor of the whole layout does; the receipts."""
    ids = list(range(len(list_job(config, package).shards))) if shard_ids is None else list(shard_ids)
    return WholeShards(worker_settings(config, package, plan))(shard_table(ids))


def finish_job(config: JobConfig, package: ModelPackage) -> Outcome:
    """Run a job to its report."""
    plan = plan_job(config, package)
    run_shards(config, package, plan)
    started = AttemptRecord(
        started_s=time.time(), layout="whole", layout_reason="asked", actors=1, num_cores=1, versions={}
    )
    note_attempt(config.output, started)
    return finalize(config.output, plan)


def shard_table(shard_ids: Iterable[int]) -> pa.Table:
    """What the pipeline begins with."""
    return pa.table({"shard_id": list(shard_ids)}, schema=SHARD_SCHEMA)


def read_rows(output: str | Path) -> list[dict[str, Any]]:
    """All rows that the commit log vouches for, by row id, without their times."""
    uri = storage.normalise(str(output))
    log = CommitLog(uri)
    ids = sorted(log.committed())
    tables = []
    for record in log.read_many(ids):
        with storage.open_for_read(storage.join(uri, *record.data.path.split("/"))) as file:
            tables.append(pq.read_table(file))
    return pa.concat_tables(tables).sort_by("row_id").drop_columns(list(TIMES)).to_pylist()
