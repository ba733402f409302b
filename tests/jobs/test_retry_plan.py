from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs.commits import CommitLog
from jobs.config import LimitsConfig
from jobs.retry import read_statuses
from jobs.retry_plan import RetryPlan, read_retries, select_rows, shards_left, store_retry
from jobs.retry_sink import replace_rows
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import list_job, plan_job, run_shards


def retry_of(**selected: tuple[int, ...]) -> RetryPlan:
    shards = {int(name[1:]): positions for name, positions in selected.items()}
    return RetryPlan(generation=1, statuses=("oom",), limits=LimitsConfig(), selected=shards)


def test_a_retry_is_stored_once_and_read_as_it_was(tmp_path: Path) -> None:
    assert read_retries(str(tmp_path)) == []
    assert store_retry(str(tmp_path), retry_of(s3=(0, 2), s7=(1,)))
    assert not store_retry(str(tmp_path), retry_of())
    assert read_retries(str(tmp_path)) == [retry_of(s3=(0, 2), s7=(1,))]
    assert read_retries(str(tmp_path))[0].num_rows == 3


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        pytest.param(("oom",), {}, id="none"),
        pytest.param(("decode_error",), {1: (3,), 2: (1,)}, id="one-status"),
        pytest.param(("decode_error", "unsupported"), {1: (3,), 2: (0, 1)}, id="two"),
    ],
)
def test_rows_are_selected_by_status(
    make_job: MakeJob, classifier: ModelPackage, statuses: tuple[str, ...], expected: dict[int, tuple[int, ...]]
) -> None:
    config = make_job(execution__rows_per_shard=4)
    run_shards(config, classifier, plan_job(config, classifier))
    log, listing = CommitLog(config.output), list_job(config)
    found = select_rows(log.read_many(range(3)), listing.manifest(config.output), statuses=read_statuses(statuses))
    assert found == expected


def test_the_newest_record_of_a_shard_counts(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=4)
    run_shards(config, classifier, plan_job(config, classifier))
    log = CommitLog(config.output)
    old = log.read(1)
    new = old.model_copy(update={"attempt": "new"})
    assert shards_left(config.output, retry_of(s1=(0,), s2=(0,))) == [1, 2]
    assert CommitLog(config.output, generation=1).create(new)
    assert shards_left(config.output, retry_of(s1=(0,), s2=(0,))) == [2]
    assert [record.attempt for record in log.read_many([1, 0])] == ["new", log.read(0).attempt]
    assert log.committed() == {0, 1, 2}
    assert log.read(1) == old
    assert list(log.read_many([])) == []


@pytest.mark.parametrize("names", [["ok"], ["OOM"], ["oom", "x"], []])
def test_a_status_that_cannot_be_retried_is_refused(names: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"^--status: must "):
        read_statuses(names)


def test_statuses_are_in_one_order() -> None:
    assert read_statuses(["oom", "crashed", "oom"]) == read_statuses(["crashed", "oom"]) == ("crashed", "oom")


@pytest.mark.parametrize(
    ("new", "expected"), [([], "abc"), ([(5, "x")], "xbc"), ([(7, "z"), (6, "y")], "ayz"), ([(5, "x")] * 0, "abc")]
)
def test_rows_are_replaced_in_their_place(new: list[tuple[int, str]], expected: str) -> None:
    schema = pa.schema([("row_id", pa.int64()), ("label", pa.string())])
    old = pa.table({"row_id": [5, 6, 7], "label": list("abc")}, schema=schema)
    rows = pa.Table.from_pylist([{"row_id": row_id, "label": label} for row_id, label in new], schema=schema)
    replaced = replace_rows(old, rows)
    assert replaced["row_id"].to_pylist() == [5, 6, 7]
    assert "".join(replaced["label"].to_pylist()) == expected
