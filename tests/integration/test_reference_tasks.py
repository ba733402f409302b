"""The reference results of real detectors and of a real multi-label model, on real photographs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_finisher, build_preparer, build_runner
from inference_core.predictor import Predictor
from inference_core.results import Detection
from inference_core.tasks.boxes import pairwise_iou
from jobs.attempts import AttemptRecord, note_attempt
from jobs.config import JobConfig
from jobs.finalize import finalize
from jobs.settings import read_settings
from jobs.stages import CommitShards, InferShards, PrepareShards
from tests.detection_packages import coco_classes, fastestdet_package, ultraface_package
from tests.integration.reference_table import detections_of, measure_boxes
from tests.jobs.local_run import list_job, plan_job, read_rows, run_shards, shard_table, worker_settings

pytestmark = pytest.mark.assets


def coco_photographs(assets: Path) -> list[Path]:
    return sorted((assets / "coco_val" / "images").glob("*.jpg"))


def test_fastestdet_finds_the_reference_boxes(tmp_path: Path, assets: Path) -> None:
    images = coco_photographs(assets)
    package = fastestdet_package(tmp_path, assets, threshold=0.3, clip_boxes=False)
    expected = json.loads((assets / "expected" / "fastestdet_coco.boxes.json").read_text())["boxes"]
    num_boxes = 0
    for prediction, result in detections_of(Predictor.load(package, device="cpu"), images):
        rows = sorted(expected[Path(prediction.source.image_id).name], key=lambda row: -row[4])
        assert result.class_ids.tolist() == [row[5] for row in rows]
        # The reference has three decimals of a pixel and five of a score.
        np.testing.assert_allclose(result.boxes_xyxy, np.reshape([row[:4] for row in rows], (-1, 4)), atol=1e-3)
        np.testing.assert_allclose(result.scores, [row[4] for row in rows], atol=1e-5)
        num_boxes += len(rows)
    assert num_boxes == 343


def test_boxes_that_are_clipped_fit_the_labelled_ones_better(tmp_path: Path, assets: Path) -> None:
    package = fastestdet_package(tmp_path, assets, threshold=0.001)
    precision = measure_boxes(Predictor.load(package, device="cpu"), assets)
    assert precision == pytest.approx((0.243, 0.450, 0.213), abs=0.005)


@pytest.mark.parametrize(
    ("name", "scale"), [("13", 1.0), ("13", 1.5), ("23", 0.5), ("23", 1.0), ("3", 0.5), ("9", 0.5)]
)
def test_faces_in_overlapping_tiles_are_found_once(tmp_path: Path, assets: Path, name: str, scale: float) -> None:
    """Of photographs at a size at which faces fit into a tile, whole and in tiles."""
    photograph = Image.open(assets / "faces" / f"{name}.jpg").convert("RGB")
    image = photograph.resize((int(photograph.width * scale), int(photograph.height * scale)))
    whole = Predictor.load(ultraface_package(tmp_path / "whole", assets), device="cpu").predict(np.asarray(image))
    tiled_package = load_package(str(ultraface_package(tmp_path / "tiled", assets, fit="tile", overlap_px=120)))
    prepared = build_preparer(tiled_package).prepare(np.asarray(image), image_id=name)
    (raw,) = build_runner(tiled_package, device="cpu").infer([prepared])
    tiled = build_finisher(tiled_package).finish(raw)
    assert isinstance(whole.result, Detection)
    assert isinstance(tiled.result, Detection)
    assert raw.raw is not None
    assert raw.raw["num_boxes"].sum() > len(tiled.result.scores)  # several tiles saw the same face
    assert len(tiled.result.scores) == len(whole.result.scores)
    overlaps = pairwise_iou(tiled.result.boxes_xyxy, whole.result.boxes_xyxy)
    assert (overlaps.max(axis=1) > 0.5).all()
    assert (overlaps.max(axis=0) > 0.5).all()


def test_rows_and_report_of_a_job_are_those_of_a_predictor_in_both_layouts(tmp_path: Path, assets: Path) -> None:
    package = load_package(str(fastestdet_package(tmp_path / "package", assets, threshold=0.3)))
    photographs = coco_photographs(assets)[:7]
    images = tmp_path / "images"
    images.mkdir()
    for path in photographs:
        (images / path.name).symlink_to(path)
    (images / "no image.jpg").write_bytes(b"text")
    whole, split = (job_config(package, images, tmp_path / layout) for layout in ("whole", "split"))
    run_shards(whole, package, plan_job(whole, package))
    plan = plan_job(split, package)
    settings = worker_settings(split, package, plan)
    prepare, infer, commit = PrepareShards(settings), InferShards(settings), CommitShards(settings)
    for shard_id in range(len(list_job(split).shards)):
        commit(infer(prepare(shard_table([shard_id]))))

    rows = read_rows(tmp_path / "split")
    assert rows == read_rows(tmp_path / "whole")
    assert [row["status"] for row in rows] == ["ok"] * 7 + ["unsupported"]
    predicted = detections_of(Predictor.load(tmp_path / "package", device="cpu"), photographs)
    for row, (prediction, result) in zip(rows, predicted, strict=False):
        assert row["image_id"] == Path(prediction.source.image_id).name
        assert row["num_objects"] == len(row["objects"]) == len(result.scores)
        corners = [[entry[name] for name in ("x_min", "y_min", "x_max", "y_max")] for entry in row["objects"]]
        np.testing.assert_array_equal(np.float32(corners).reshape(-1, 4), result.boxes_xyxy)
        assert [entry["label"] for entry in row["objects"]] == list(result.labels)
        assert row["score"] == max((entry["score"] for entry in row["objects"]), default=None)

    record = AttemptRecord(started_s=0, layout="split", layout_reason="asked", actors=1, num_cores=1, versions={})
    note_attempt(split.output, record)
    finalize(split.output, plan)
    with (tmp_path / "split" / "report" / "per_class.csv").open() as file:
        per_class = {line["label"]: line for line in csv.DictReader(file)}
    finds = [(index, label) for index, (_, result) in enumerate(predicted) for label in result.labels]
    for name in coco_classes(assets):
        assert int(per_class[name]["objects"]) == sum(label == name for _, label in finds)
        assert int(per_class[name]["images"]) == len({index for index, label in finds if label == name})
    summary = json.loads((tmp_path / "split" / "report" / "summary.json").read_text())
    assert summary["quantities"]["num_objects"]["mean"] == pytest.approx(len(finds) / 7)


def job_config(package: ModelPackage, images: Path, output: Path) -> JobConfig:
    flags = {"model": package.uri, "input": str(images), "output": str(output)}
    return read_settings(None, flags=flags, assignments=["execution.rows_per_shard=3"])
