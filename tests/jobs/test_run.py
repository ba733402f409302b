from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from ray.exceptions import RayTaskError

from inference_core.errors import JobError, MillraceError, ModelError
from inference_core.models.package import ModelPackage
from jobs.run import SeenShards, check_package, find_state, root_cause
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, run_shards


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.rows = 0
        self.failed = 0

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def advance(self, *, num_rows: int, num_failed: int) -> None:
        self.rows += num_rows
        self.failed += num_failed


@pytest.mark.parametrize("done", [[], [1], [0, 2], [0, 1, 2]], ids=str)
def test_what_is_left_is_the_plan_minus_the_commits(
    make_job: MakeJob, classifier: ModelPackage, done: list[int]
) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    receipts = run_shards(config, classifier, plan, done)
    state = find_state(config.output, plan, is_new=False)
    assert list(state.todo) == [shard_id for shard_id in range(3) if shard_id not in done]
    assert state.rows_done == sum(receipts["num_rows"].to_pylist())
    assert state.plan == plan
    assert not state.is_new


def test_each_shard_is_shown_once_whoever_committed_it(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=2)
    plan = plan_job(config, classifier)
    told = Told()
    seen = SeenShards(config.output, range(len(plan.shards)), told)
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


@pytest.mark.parametrize("num_done", range(6))
def test_what_is_left_is_each_shard_once(make_job: MakeJob, classifier: ModelPackage, num_done: int) -> None:
    config = make_job(execution__rows_per_shard=2)
    plan = plan_job(config, classifier)
    seen = SeenShards(config.output, range(len(plan.shards)), Told())
    run_shards(config, classifier, plan, range(num_done))
    seen.look()
    assert sorted(seen.left()) == list(range(num_done, 5))


def chained(*errors: BaseException) -> BaseException:
    for outer, inner in itertools.pairwise(errors):
        outer.__cause__ = inner
    return errors[0]


RAY_ERROR = RayTaskError("f", "Traceback\n  ValueError: inner", ValueError("inner"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(ValueError("plain"), "ValueError: plain", id="alone"),
        pytest.param(ValueError(), "ValueError: ", id="silent"),
        pytest.param(chained(RuntimeError("outer"), ModelError("inner")), "ModelError: inner", id="chain"),
        pytest.param(RAY_ERROR, "ValueError: inner", id="ray"),
        pytest.param(chained(RuntimeError("outer"), RAY_ERROR), "ValueError: inner", id="chain-and-ray"),
        pytest.param(ValueError("first\n\nlast\n"), "ValueError: last", id="the-last-line"),
    ],
)
def test_the_innermost_error_is_told(error: BaseException, expected: str) -> None:
    assert root_cause(error) == expected


def test_a_package_that_works_passes(classifier: ModelPackage, segmenter: ModelPackage) -> None:
    check_package(classifier)
    check_package(segmenter)


def test_a_graph_of_other_channels_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    from inference_core.models.package import load_package
    from tests.tiny_models import tiny_classifier

    package = load_package(str(tiny_classifier(tmp_path_factory.mktemp("gray"), channels=1)))
    with pytest.raises(ModelError, match="the graph takes 1 along C") as caught:
        check_package(package)
    assert caught.value.exit_code == 2


def test_receipts_need_no_order(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=2)
    plan = plan_job(config, classifier)
    receipts = run_shards(config, classifier, plan)
    told = Told()
    seen = SeenShards(config.output, range(5), told)
    seen.add(pa.concat_tables([receipts.slice(3), receipts.slice(0, 3)]))
    assert told.rows == 10
    assert issubclass(JobError, MillraceError)
