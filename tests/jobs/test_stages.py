from __future__ import annotations

import contextlib
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from inference_core.errors import MillraceError, ModelError
from inference_core.models.package import ModelPackage
from inference_core.predictor import Predictor
from jobs.columns import PACKED_SCHEMA, RECEIPT_SCHEMA, pack_shards, unpack_shards
from jobs.commits import CommitLog
from jobs.planned_package import read_package
from jobs.stages import CommitShards, InferShards, PrepareShards, WholeShards
from tests.drawn_images import draw_folder
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards, shard_table, worker_settings


def test_settings_of_workers_are_small_and_travel(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    travelled = pickle.dumps(settings)
    assert pickle.loads(travelled) == settings
    assert len(travelled) < 3000


def test_a_stage_with_settings_travels(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    for stage in (PrepareShards(settings), CommitShards(settings)):
        assert isinstance(pickle.loads(pickle.dumps(stage)), type(stage))


def mask_bytes(output: Path) -> dict[str, bytes]:
    paths = (output / "masks").rglob("*.png")
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths}


def pools_of(output: Path) -> set[tuple[str, ...]]:
    """Who told of themselves in the records; each told its memory."""
    log = CommitLog(str(output))
    told = [record.workers for record in log.read_many(sorted(log.committed()))]
    assert all(facts.peak_bytes and facts.gpu is None for workers in told for facts in workers)
    return {tuple(facts.pool for facts in workers) for workers in told}


@pytest.mark.parametrize("task", ["classifier", "segmenter"])
def test_both_layouts_give_the_same_rows_and_masks(
    make_job: MakeJob, request: pytest.FixtureRequest, tmp_path: Path, task: str
) -> None:
    package: ModelPackage = request.getfixturevalue(task)
    whole = make_job(model=package.uri, output=str(tmp_path / "whole"), execution__rows_per_shard=4)
    run_shards(whole, package, plan_job(whole, package))

    split = make_job(model=package.uri, output=str(tmp_path / "split"), execution__rows_per_shard=4)
    settings = worker_settings(split, package, plan_job(split, package))
    prepare, infer, commit = PrepareShards(settings), InferShards(settings), CommitShards(settings)
    for shard_ids in ([2], [0, 1]):
        prepared = prepare(shard_table(shard_ids))
        assert prepared.schema.equals(PACKED_SCHEMA)
        assert prepared["shard_id"].to_pylist() == shard_ids
        receipts = commit(infer(prepared))
        assert receipts.schema.equals(RECEIPT_SCHEMA)
        assert receipts["shard_id"].to_pylist() == shard_ids

    told = {name: pools_of(tmp_path / name) for name in ("whole", "split")}
    assert told == {"whole": {("workers",)}, "split": {("prepare", "infer", "commit")}}
    assert read_rows(tmp_path / "split") == read_rows(tmp_path / "whole")
    masks = [mask_bytes(tmp_path / name) for name in ("whole", "split")]
    assert masks[0] == masks[1]
    assert bool(masks[0]) == (task == "segmenter")


def test_every_file_becomes_a_row_and_says_what_a_predictor_says(
    make_job: MakeJob, classifier: ModelPackage, images: Path, tmp_path: Path
) -> None:
    config = make_job(execution__rows_per_shard=3)
    plan = plan_job(config, classifier)
    receipts = run_shards(config, classifier, plan)
    assert sum(receipts["num_rows"].to_pylist()) == 10
    assert sum(receipts["num_ok"].to_pylist()) == 7
    rows = read_rows(config.output)
    predictions = list(Predictor.load(classifier, device="cpu").predict_directory(images))
    assert [row["row_id"] for row in rows] == list(range(10))
    for row, prediction in zip(rows, predictions, strict=True):
        assert (row["image_id"], row["status"], row["error"]) == (
            prediction.source.image_id,
            prediction.status,
            prediction.error,
        )
        assert row["sha256"] == prediction.source.sha256
        if prediction.is_ok:
            assert row["label"] == prediction.result.labels[0]  # type: ignore[union-attr]


def test_a_file_that_went_away_is_a_row(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job()
    plan = plan_job(config, classifier)
    (images / "0000.png").unlink()
    run_shards(config, classifier, plan)
    row = read_rows(config.output)[0]
    assert (row["image_id"], row["status"]) == ("0000.png", "fetch_error")
    assert "0000.png" in row["error"]


@pytest.mark.parametrize(
    ("setting", "value"), [("max_bytes", 100), ("max_pixels", 100), ("max_side_px", 10), ("max_fit_pixels", 10)]
)
def test_limits_reach_the_workers(make_job: MakeJob, classifier: ModelPackage, setting: str, value: int) -> None:
    config = make_job(**{f"limits__{setting}": value})
    run_shards(config, classifier, plan_job(config, classifier))
    statuses = {row["image_id"]: row["status"] for row in read_rows(config.output)}
    assert statuses["0000.png"] == "too_large"


def test_a_committed_shard_is_found_not_done_again(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    first = run_shards(config, classifier, plan)
    assert first["is_winner"].to_pylist() == [True, True, True]
    for path in images.rglob("*.png"):
        path.unlink()  # whoever reads them again gives other rows
    second = run_shards(config, classifier, plan)
    assert second["is_winner"].to_pylist() == [False, False, False]
    assert second.drop_columns("is_winner").equals(first.drop_columns("is_winner"))


def test_shards_that_are_done_in_any_order_give_the_same_rows(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path
) -> None:
    outputs = []
    for name, order in (("a", [0, 1, 2, 3, 4]), ("b", [3, 0, 4, 2, 1])):
        config = make_job(output=str(tmp_path / name), execution__rows_per_shard=2)
        plan = plan_job(config, classifier)
        run_shards(config, classifier, plan, order)
        outputs.append(read_rows(config.output))
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_never_cross_shards_and_cover_all(make_job: MakeJob, classifier: ModelPackage, batch_size: int) -> None:
    config = make_job(execution__rows_per_shard=4, execution__batch_size=batch_size)
    plan = plan_job(config, classifier)
    run_shards(config, classifier, plan)
    assert len(read_rows(config.output)) == 10


def test_a_changed_model_stops_the_worker(
    make_job: MakeJob, classifier: ModelPackage, other_classifier: ModelPackage
) -> None:
    config = make_job()
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    changed = replace(settings, model_uri=other_classifier.uri)
    with pytest.raises(ModelError, match=f"must be the planned model {classifier.digest[:12]}, got") as caught:
        read_package(changed)
    assert "restore it and run the same command again" in str(caught.value)


def test_no_shards_are_no_receipts(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    assert WholeShards(settings)(shard_table([])).num_rows == 0
    assert PrepareShards(settings)(shard_table([])).num_rows == 0


def test_a_shard_that_lost_a_row_on_the_way_is_not_committed(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    raw = unpack_shards(InferShards(settings)(PrepareShards(settings)(shard_table([0]))))
    with pytest.raises(Exception, match="shard 0 must have 10 rows, got 9"):
        CommitShards(settings)(pack_shards(raw.slice(0, 9)))
    assert CommitLog(config.output).committed() == set()


def test_a_row_that_came_twice_does_not_stand_for_a_lost_one(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    raw = unpack_shards(InferShards(settings)(PrepareShards(settings)(shard_table([0]))))
    with pytest.raises(Exception, match="row"):
        CommitShards(settings)(pack_shards(pa.concat_tables([raw.slice(0, 9), raw.slice(0, 1)])))


def test_a_worker_of_a_run_that_was_cleared_away_commits_nothing_into_the_next(
    make_job: MakeJob, classifier: ModelPackage, images: Path, tmp_path: Path
) -> None:
    old = make_job()
    late = WholeShards(worker_settings(old, classifier, plan_job(old, classifier)))
    shutil.rmtree(tmp_path / "out")
    new = make_job(limits__max_bytes=100)
    plan = plan_job(new, classifier)
    with contextlib.suppress(MillraceError):
        late(shard_table([0]))
    run_shards(new, classifier, plan)
    log = CommitLog(new.output)
    assert {record.run_id for record in log.read_many(sorted(log.committed()))} == {plan.run_id}
    assert "ok" not in {row["status"] for row in read_rows(new.output)}  # every image is over the new limit, or bad


def test_images_of_many_sizes_travel_together(make_job: MakeJob, segmenter: ModelPackage, tmp_path: Path) -> None:
    folder = tmp_path / "sizes"
    for index, hw in enumerate([(1, 1), (8, 8), (20, 24), (33, 7), (8, 8)]):
        draw_folder(folder / str(index), 1, image_hw=hw)
    config = make_job(model=segmenter.uri, input=str(folder))
    settings = worker_settings(config, segmenter, plan_job(config, segmenter))
    receipts = CommitShards(settings)(InferShards(settings)(PrepareShards(settings)(shard_table([0]))))
    assert receipts["num_ok"].to_pylist() == [5]
    assert [(row["height"], row["width"]) for row in read_rows(config.output)][:4] == [
        (1, 1),
        (8, 8),
        (20, 24),
        (33, 7),
    ]
