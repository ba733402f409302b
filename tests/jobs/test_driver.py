from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from ray.exceptions import RayTaskError

from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage, load_package
from jobs.driver import check_package
from jobs.execution_config import ExecutionConfig
from jobs.found_state import find_state
from jobs.receipts import root_cause
from jobs.seen_shards import SeenShards
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import list_job, plan_job, run_shards
from tests.tiny_models import tiny_classifier


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.rows = 0
        self.failed = 0

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, *, shard_id: int, num_rows: int, num_failed: int) -> None:
        self.rows += num_rows
        self.failed += num_failed


@pytest.mark.parametrize("done", [[], [1], [0, 2], [0, 1, 2]], ids=str)
def test_what_is_left_is_the_plan_minus_the_commits(
    make_job: MakeJob, classifier: ModelPackage, done: list[int]
) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    receipts = run_shards(config, classifier, plan, done)
    state = find_state(config.output, plan, list_job(config), is_new=False)
    assert list(state.todo) == [shard_id for shard_id in range(3) if shard_id not in done]
    assert state.rows_done == sum(receipts["num_rows"].to_pylist())
    assert state.plan == plan
    assert not state.is_new


def test_each_shard_is_shown_once_whoever_committed_it(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=2)
    plan = plan_job(config, classifier)
    told = Told()
    seen = SeenShards(config.output, range(len(list_job(config).shards)), told)
    assert seen.left() == [0, 1, 2, 3, 4]
    run_shards(config, classifier, plan, [0, 1])
    seen.look()
    assert told.rows == 4
    assert sorted(seen.left()) == [2, 3, 4]
    receipts = run_shards(config, classifier, plan)  # two of them were committed before
    seen.add(receipts)
    seen.add(receipts)
    seen.look()
    assert (told.rows, seen.left()) == (10, [])
    assert told.failed == 3


@pytest.mark.parametrize(
    ("num_done", "num_ahead", "expected"),
    [
        pytest.param(0, 0, [0, 1, 2, 3, 4], id="nobody-is-ahead"),
        pytest.param(2, 0, [2, 3, 4], id="nobody-is-ahead-of-a-resumed-run"),
        pytest.param(0, 1, [1, 2, 3, 4, 0], id="one-works-on-the-first"),
        pytest.param(0, 4, [2, 3, 4, 0, 1], id="more-than-half"),
        pytest.param(1, 1, [3, 4, 1, 2], id="who-was-quick-will-come-further"),
        pytest.param(4, 2, [4], id="the-last"),
        pytest.param(5, 2, [], id="none"),
    ],
)
def test_what_is_left_is_each_shard_once_and_last_what_others_come_to(
    make_job: MakeJob, classifier: ModelPackage, num_done: int, num_ahead: int, expected: list[int]
) -> None:
    config = make_job(execution__rows_per_shard=2)
    plan = plan_job(config, classifier)
    seen = SeenShards(config.output, range(len(list_job(config).shards)), Told())
    run_shards(config, classifier, plan, range(num_done))
    seen.look()
    assert seen.left(num_ahead=num_ahead) == expected


UDF_FAILED = """\x1b[36mray::MapBatches(PrepareShards)()\x1b[39m (pid=1, ip=10.0.0.1)
  File "local.py", line 82, in open_for_read
FileNotFoundError: [Errno 2] No such file or directory: '/out/manifest.parquet'

The above exception was the direct cause of the following exception:

inference_core.errors.MissingObjectError: nothing is stored at '/out/manifest.parquet'; check the path

The above exception was the direct cause of the following exception:

ray.exceptions.UserCodeException: UDF failed to process a data block.
To change retry attempts, backoff, or which errors are retried, configure `ray.data.DataContext`."""
"""As Ray 2.60 tells it."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain", "RuntimeError: plain", id="alone"),
        pytest.param("", "RuntimeError: no reason given", id="silent"),
        pytest.param("first\n\nlast\n", "RuntimeError: first", id="its-beginning"),
        pytest.param(
            UDF_FAILED, "MissingObjectError: nothing is stored at '/out/manifest.parquet'; check the path", id="ours"
        ),
        pytest.param(
            "File x\nbuiltins.OSError: disk full\nray.exceptions.UserCodeException: UDF", "OSError: disk full"
        ),
        pytest.param("a\nMemoryError: \nValueError: inner\n", "ValueError: inner", id="the-last-that-says-something"),
    ],
)
def test_the_cause_is_told_not_what_ray_says_of_it(text: str, expected: str) -> None:
    assert root_cause(RuntimeError(text)) == expected


def test_the_cause_is_told_through_rays_own_error() -> None:
    cause = ModelError("weights must exist")
    assert root_cause(RayTaskError("f", f"inference_core.errors.{type(cause).__name__}: {cause}", cause)) == (
        "ModelError: weights must exist"
    )


def test_a_package_that_works_passes(classifier: ModelPackage, segmenter: ModelPackage) -> None:
    check_package(classifier, ExecutionConfig(device="cpu"))
    check_package(segmenter, ExecutionConfig(device="cpu"))


def test_a_graph_of_other_channels_is_refused(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path, channels=1)))
    with pytest.raises(ModelError, match="the graph takes 1 along C") as caught:
        check_package(package, ExecutionConfig(device="cpu"))
    assert caught.value.exit_code == 2


def test_half_precision_on_a_cpu_is_refused_before_anything_starts(classifier: ModelPackage) -> None:
    with pytest.raises(ConfigError, match="precision"):
        check_package(classifier, ExecutionConfig(device="cpu", precision="fp16"))


def test_receipts_need_no_order(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=2)
    plan = plan_job(config, classifier)
    receipts = run_shards(config, classifier, plan)
    told = Told()
    seen = SeenShards(config.output, range(5), told)
    seen.add(pa.concat_tables([receipts.slice(3), receipts.slice(0, 3)]))
    assert told.rows == 10
