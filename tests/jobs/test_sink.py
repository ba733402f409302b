from __future__ import annotations

import io
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from inference_core.errors import JobError
from inference_core.export.mask_files import PlaneOutput
from inference_core.export.rows import DEFAULT_PLANES
from inference_core.items import Prediction, StageMs
from inference_core.models.package import ModelPackage
from inference_core.predictor import Predictor
from inference_core.provenance import sha256_hex
from inference_core.records import SourceFacts
from inference_core.stats.summary import Summary
from jobs.commits import CommitLog, read_summary
from jobs.plan import PLAN_FILE, Plan
from jobs.shards import Shards
from jobs.sink import ShardSink, check_ledger
from tests.drawn_images import png_bytes, write

SHARDS = Shards(((2, 3), (1, 1)))
IDS = ("a.png", "sub/b c.png", "bad.png")


def make_sink(output: Path, package: ModelPackage, *, planes: PlaneOutput = DEFAULT_PLANES) -> ShardSink:
    plan = Plan(
        schema_version=2,
        run_id="cafe",
        identity={},
        config={},
        model_name="m",
        task=package.spec.task,
        classes=package.spec.classes,
    )
    write(output / PLAN_FILE, plan.model_dump_json().encode())
    return ShardSink(
        str(output),
        run_id="cafe",
        spec=package.spec,
        model_digest=package.digest,
        shards=SHARDS,
        planes=planes,
    )


def predict(package: ModelPackage, ids: tuple[str, ...] = IDS) -> list[Prediction]:
    """Good predictions but for the ids that begin with bad; no times, so that repetitions can be compared."""
    predictor = Predictor.load(package, device="cpu")
    images = [b"no image" if name.startswith("bad") else png_bytes(index) for index, name in enumerate(ids)]
    found = predictor.predict_batch(images, image_ids=ids)
    return [replace(prediction, stage_ms=StageMs()) for prediction in found]


def files_below(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != PLAN_FILE}


def test_a_committed_shard_has_rows_masks_and_a_record(tmp_path: Path, segmenter: ModelPackage) -> None:
    started_s = time.time()
    receipt = make_sink(tmp_path, segmenter).commit(1, predict(segmenter), started_s=started_s)
    assert (receipt.shard_id, receipt.num_rows, receipt.num_ok, receipt.is_winner) == (1, 3, 2, True)

    record = CommitLog(str(tmp_path)).read(1)
    written = files_below(tmp_path)
    assert set(written) == {
        "_commits/000001.json",
        record.data.path,
        "masks/a.png.png",
        "masks/sub/b c.png.png",
    }
    assert record.data.path == f"data/part-000001-{record.attempt}.parquet"
    assert record.data.size_bytes == len(written[record.data.path])
    assert record.data.sha256 == sha256_hex(written[record.data.path])
    assert (record.shard_id, record.num_rows, record.num_masks) == (1, 3, 2)
    assert sum(record.status_counts.values()) == 3
    assert record.started_s == started_s
    assert 0 <= record.wall_s < 60
    (error,) = record.errors
    assert (error.image_id, error.status) == ("bad.png", "unsupported")

    table = pq.read_table(io.BytesIO(written[record.data.path]))
    assert table["row_id"].to_pylist() == [3, 4, 5]
    assert table["image_id"].to_pylist() == list(IDS)
    assert table["mask_path"].to_pylist() == ["masks/a.png.png", "masks/sub/b c.png.png", None]
    assert table.schema.metadata[b"millrace.model_digest"] == segmenter.digest.encode()
    summary = Summary.of(table, task="segmentation", class_names=segmenter.spec.classes)
    assert read_summary(record, class_names=segmenter.spec.classes) == summary


def test_masks_hold_the_class_ids(tmp_path: Path, segmenter: ModelPackage) -> None:
    predictions = predict(segmenter)
    make_sink(tmp_path, segmenter).commit(0, predictions, started_s=0)
    mask = np.asarray(Image.open(tmp_path / "masks" / "a.png.png"))
    np.testing.assert_array_equal(mask, predictions[0].result.mask)  # type: ignore[union-attr]


def test_masks_can_be_left_out(tmp_path: Path, segmenter: ModelPackage) -> None:
    make_sink(tmp_path, segmenter, planes=PlaneOutput(masks="none")).commit(0, predict(segmenter), started_s=0)
    assert not (tmp_path / "masks").exists()
    assert CommitLog(str(tmp_path)).read(0).num_masks == 0


def test_a_classification_has_no_masks(tmp_path: Path, classifier: ModelPackage) -> None:
    make_sink(tmp_path, classifier).commit(0, predict(classifier), started_s=0)
    assert not (tmp_path / "masks").exists()


@pytest.mark.parametrize("count", [0, 2, 4])
def test_another_number_of_rows_commits_nothing(tmp_path: Path, classifier: ModelPackage, count: int) -> None:
    predictions = predict(classifier, tuple(f"{index}.png" for index in range(count))) if count else []
    with pytest.raises(JobError, match=f"shard 0 must have 3 rows, got {count}"):
        make_sink(tmp_path, classifier).commit(0, predictions, started_s=0)
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize("shard_id", [-1, 3])
def test_a_shard_that_does_not_exist_commits_nothing(tmp_path: Path, classifier: ModelPackage, shard_id: int) -> None:
    with pytest.raises(IndexError, match="shard_id"):
        make_sink(tmp_path, classifier).commit(shard_id, predict(classifier), started_s=0)
    assert files_below(tmp_path) == {}


def test_the_second_attempt_loses_and_cleans_up(tmp_path: Path, segmenter: ModelPackage) -> None:
    make_sink(tmp_path, segmenter).commit(0, predict(segmenter), started_s=0)
    before = files_below(tmp_path)
    other = predict(segmenter, ("bad0", "bad1", "bad2"))
    receipt = make_sink(tmp_path, segmenter).commit(0, other, started_s=0)
    assert (receipt.shard_id, receipt.num_rows, receipt.num_ok, receipt.is_winner) == (0, 3, 2, False)
    assert files_below(tmp_path) == before


def test_a_repeated_attempt_gives_the_same_bytes(tmp_path: Path, segmenter: ModelPackage) -> None:
    for name in ("first", "second"):
        make_sink(tmp_path / name, segmenter).commit(0, predict(segmenter), started_s=0)
    first, second = (CommitLog(str(tmp_path / name)).read(0) for name in ("first", "second"))
    assert first.data.sha256 == second.data.sha256
    assert first.attempt != second.attempt
    same = ("num_rows", "status_counts", "num_masks", "errors", "summary", "engine")
    assert all(getattr(first, name) == getattr(second, name) for name in same)
    masks = [files_below(tmp_path / name / "masks") for name in ("first", "second")]
    assert masks[0] == masks[1]


def test_a_mask_is_written_once(tmp_path: Path, segmenter: ModelPackage) -> None:
    sink = make_sink(tmp_path, segmenter)
    sink.commit(0, predict(segmenter), started_s=0)
    inode = (tmp_path / "masks" / "a.png.png").stat().st_ino
    sink.commit(0, predict(segmenter), started_s=0)
    assert (tmp_path / "masks" / "a.png.png").stat().st_ino == inode


@pytest.mark.parametrize("left", [b"", b"half a PNG"], ids=["empty", "half"])
def test_a_mask_that_a_crash_left_is_replaced(tmp_path: Path, segmenter: ModelPackage, left: bytes) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png.png").write_bytes(left)
    make_sink(tmp_path, segmenter).commit(0, predict(segmenter), started_s=0)
    Image.open(tmp_path / "masks" / "a.png.png").load()


def test_a_mask_of_a_committed_shard_is_never_replaced(tmp_path: Path, segmenter: ModelPackage) -> None:
    sink = make_sink(tmp_path, segmenter)
    sink.commit(0, predict(segmenter), started_s=0)
    before = files_below(tmp_path)
    turned = predict(segmenter, ("bad", "a.png", "sub/b c.png"))
    assert not sink.commit(0, turned, started_s=0).is_winner
    assert files_below(tmp_path) == before


def test_data_of_a_killed_attempt_stays_beside_the_winner(tmp_path: Path, classifier: ModelPackage) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part-000000-deadbeef.parquet").write_bytes(b"half")
    assert make_sink(tmp_path, classifier).commit(0, predict(classifier), started_s=0).is_winner


HOSTILE_IDS = (
    "a b/ c .png",
    "new\nline.png",
    "q'\"`$.png",
    "100%25.png",
    "漢字/e\u0301.png",
    "x" * 250 + ".png",
    "../../escape.png",
    "/absolute.png",
    "a//b.png",
    "./dot.png",
    "",
    "*?[x].png",
)


@pytest.mark.parametrize("image_id", HOSTILE_IDS, ids=ascii)
def test_a_hostile_id_has_a_row_and_a_mask_inside_the_output(
    tmp_path: Path, segmenter: ModelPackage, image_id: str
) -> None:
    output = tmp_path / "deep" / "out"
    sink = make_sink(output, segmenter)
    sink.commit(0, predict(segmenter, ("1.png", image_id, "2.png")), started_s=0)
    record = CommitLog(str(output)).read(0)
    rows = pq.read_table(output / record.data.path).to_pylist()
    assert rows[1]["image_id"] == image_id
    assert (output / rows[1]["mask_path"]).resolve().is_relative_to((output / "masks").resolve())
    Image.open(output / rows[1]["mask_path"]).load()
    assert {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()} == {("deep", "out")}


@pytest.mark.parametrize(("a", "b"), [("/x.png", "%/x.png"), ("../x.png", "%2E2E/x.png")], ids=ascii)
def test_two_ids_never_share_a_mask(tmp_path: Path, segmenter: ModelPackage, a: str, b: str) -> None:
    make_sink(tmp_path, segmenter).commit(0, predict(segmenter, (a, b, "bad")), started_s=0)
    record = CommitLog(str(tmp_path)).read(0)
    first, second, _ = pq.read_table(tmp_path / record.data.path)["mask_path"].to_pylist()
    assert first != second


def test_an_id_that_is_a_folder_of_another_commits_all_the_same(tmp_path: Path, segmenter: ModelPackage) -> None:
    predictions = predict(segmenter, ("scan", "scan.png/1", "bad"))
    assert make_sink(tmp_path, segmenter).commit(0, predictions, started_s=0).is_winner


def test_a_failed_row_has_no_mask_even_where_another_row_has_its_id(tmp_path: Path, segmenter: ModelPackage) -> None:
    predictions = predict(segmenter, ("same.png", "bad", "c.png"))
    failed = replace(predictions[1], source=replace(predictions[1].source, image_id="same.png"))
    make_sink(tmp_path, segmenter).commit(0, [predictions[0], failed, predictions[2]], started_s=0)
    record = CommitLog(str(tmp_path)).read(0)
    assert pq.read_table(tmp_path / record.data.path)["mask_path"].to_pylist()[1] is None


def test_a_shard_of_failures_alone_is_committed(tmp_path: Path, segmenter: ModelPackage) -> None:
    failed = Prediction(source=SourceFacts(image_id="x"), status="fetch_error", error="gone")
    receipt = make_sink(tmp_path, segmenter).commit(2, [failed], started_s=0)
    assert (receipt.num_rows, receipt.num_ok) == (1, 0)
    assert CommitLog(str(tmp_path)).read(2).engine == ""


def test_a_ledger_that_does_not_add_up_is_refused() -> None:
    summary = Summary.empty(task="classification", class_names=("a",))
    check_ledger(summary, num_rows=0, shard_id=0)
    with pytest.raises(JobError, match="shard 7 must account for 1 rows, got 0 by status"):
        check_ledger(summary, num_rows=1, shard_id=7)


def test_a_prediction_is_let_go_when_its_mask_is_written(tmp_path: Path, segmenter: ModelPackage) -> None:
    masks: list[weakref.ref[np.ndarray]] = []

    def one_by_one() -> Iterator[Prediction]:
        for prediction in predict(segmenter, ("a.png", "b.png", "c.png")):
            copied = replace(prediction, result=replace(prediction.result, mask=prediction.result.mask.copy()))
            masks.append(weakref.ref(copied.result.mask))
            yield copied
            del copied, prediction
            assert sum(mask() is not None for mask in masks) <= 1, "masks of a shard must not pile up"

    receipt = make_sink(tmp_path, segmenter).commit(0, one_by_one(), started_s=0)
    assert receipt.num_ok == 3
