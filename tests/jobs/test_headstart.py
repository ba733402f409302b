from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from inference_core.models.package import ModelPackage
from jobs.claims import claim
from jobs.commits import CommitLog
from jobs.execution_config import ExecutionConfig
from jobs.headstart import can_start_ahead, has_ended, start_ahead
from jobs.stage_settings import StageSettings
from jobs.stages import WholeShards
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import list_job, plan_job, read_rows, run_shards, shard_table, worker_settings

PATIENCE_S = 60.0


def wait_for_commits(log: CommitLog, count: int) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while len(log.committed()) < count:
        assert time.monotonic() < deadline_s, f"only {sorted(log.committed())} were committed"
        time.sleep(0.05)


@pytest.mark.parametrize("num_processes", [1, 3])
def test_children_commit_what_actors_would(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, num_processes: int
) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    settings = worker_settings(config, classifier, plan)
    with start_ahead(settings, range(len(list_job(config).shards)), num_processes=num_processes):
        wait_for_commits(CommitLog(config.output), len(list_job(config).shards))
    other = make_job(output=str(tmp_path / "other"), execution__rows_per_shard=4)
    run_shards(other, classifier, plan_job(other, classifier))
    assert read_rows(config.output) == read_rows(other.output)


def test_children_that_are_stopped_at_once_leave_whole_shards_or_nothing(
    make_job: MakeJob, classifier: ModelPackage
) -> None:
    config = make_job(execution__rows_per_shard=1)
    plan = plan_job(config, classifier)
    with start_ahead(worker_settings(config, classifier, plan), range(10), num_processes=2):
        pass
    done = CommitLog(config.output).committed()
    assert len(read_rows(config.output)) == len(done) if done else True
    run_shards(config, classifier, plan)
    assert [row["row_id"] for row in read_rows(config.output)] == list(range(10))


@pytest.fixture
def claimed(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> StageSettings:
    """Settings of three shards, with claims."""
    config = make_job(execution__rows_per_shard=4)
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    (tmp_path / "claims").mkdir()
    return replace(settings, claims=str(tmp_path / "claims"))


def test_children_leave_a_shard_that_another_process_works_on(claimed: StageSettings) -> None:
    log = CommitLog(claimed.output)
    with claim(claimed.claims, 1, patience_s=0), start_ahead(claimed, range(3), num_processes=1):
        wait_for_commits(log, 2)
    assert log.committed() == {0, 2}


def test_an_actor_waits_for_a_shard_that_another_process_works_on(claimed: StageSettings) -> None:
    actor, other = WholeShards(claimed), WholeShards(replace(claimed, claims=""))
    with ThreadPoolExecutor(1) as pool:
        with claim(claimed.claims, 1, patience_s=0):
            found = pool.submit(actor, shard_table([1]))
            time.sleep(0.3)
            assert CommitLog(claimed.output).committed() == set()
            other(shard_table([1]))
        assert found.result(PATIENCE_S)["is_winner"].to_pylist() == [False]


def test_no_children_are_no_work(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    with start_ahead(worker_settings(config, classifier, plan_job(config, classifier)), [0], num_processes=0):
        pass
    assert CommitLog(config.output).committed() == set()


def test_a_child_that_cannot_work_leaves_its_shards_to_the_pipeline(
    make_job: MakeJob, classifier: ModelPackage
) -> None:
    config = make_job()
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    broken = type(settings)(**{**vars(settings), "model_digest": "another"})
    with start_ahead(broken, [0], num_processes=1):
        time.sleep(0.1)
    assert CommitLog(config.output).committed() == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"layout": "whole"}, True),
        ({"layout": "split"}, False),
        ({"device": "cpu"}, True),
        ({"head_start": False}, False),
        ({"address": "auto"}, False),
    ],
    ids=str,
)
def test_only_a_run_of_this_machine_alone_starts_ahead(
    changes: dict[str, object], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    execution = ExecutionConfig.model_validate({"device": "cpu"} | changes)
    assert can_start_ahead(execution) is expected


def test_a_cluster_named_by_the_environment_is_not_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert not can_start_ahead(ExecutionConfig(device="cpu"))


def test_a_pipe_has_ended_when_its_writer_closed_it() -> None:
    reader, writer = os.pipe()
    try:
        assert not has_ended(reader)
        os.close(writer)
        assert has_ended(reader)
    finally:
        os.close(reader)
