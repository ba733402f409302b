from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.errors import JobError
from inference_core.models.package import ModelPackage
from jobs.results import iterate_results, read_results
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards


def test_before_the_first_commit_there_is_nothing(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    plan_job(config, classifier)
    assert list(iterate_results(config.output)) == []
    with pytest.raises(JobError, match="must have a committed shard"):
        read_results(config.output)


def test_rows_of_committed_shards_are_read_while_others_are_left(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    run_shards(config, classifier, plan, [2, 0])
    assert read_results(config.output)["row_id"].to_pylist() == [0, 1, 2, 3, 8, 9]
    assert [found.shard_id for found in iterate_results(config.output)] == [0, 2]
    run_shards(config, classifier, plan, [1])
    new = list(iterate_results(config.output, skip={0, 2}))
    assert [(found.shard_id, found.rows["row_id"].to_pylist()) for found in new] == [(1, [4, 5, 6, 7])]


def test_a_finished_run_gives_all_rows(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=4)
    run_shards(config, classifier, plan_job(config, classifier))
    rows = read_results(config.output)
    times = [name for name in rows.column_names if name.endswith("_ms")]
    assert rows.drop_columns(times).to_pylist() == read_rows(config.output)


def test_columns_are_chosen(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    run_shards(config, classifier, plan_job(config, classifier))
    assert read_results(config.output, columns=["image_id", "status"]).column_names == ["image_id", "status"]


def test_files_that_no_record_names_are_not_read(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job()
    run_shards(config, classifier, plan_job(config, classifier))
    (tmp_path / "out" / "data" / "part-000000-orphan.parquet").write_bytes(b"torn")
    assert len(read_results(config.output)) == 10
