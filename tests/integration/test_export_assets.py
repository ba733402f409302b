"""A run over real photographs, exported, scores in the tools of others as it does here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inference_core.evaluation.labels.class_ids import ClassIds
from inference_core.evaluation.labels.yolo import read_yolo
from inference_core.models.package import load_package
from jobs.evaluation.evaluate import evaluate
from jobs.evaluation.request import EvaluateRequest
from jobs.export_answers import export
from jobs.settings import read_settings
from tests.detection_packages import coco_classes, fastestdet_package
from tests.jobs.local_run import finish_job

pytestmark = pytest.mark.assets


def truth_for(instances: Path, labels: Path, classes: tuple[str, ...]) -> Path:
    """The labels as COCO has them, with the ids of an export."""
    found = json.loads(instances.read_text())
    boxes, annotations = read_yolo(str(labels), ClassIds(classes)), []
    for image in found["images"]:
        own = boxes[image["file_name"].rpartition(".")[0]].in_image((image["height"], image["width"]))
        for (left, top, right, bottom), class_id in zip(own.boxes_xyxy.tolist(), own.class_ids.tolist(), strict=True):
            box = [left, top, right - left, bottom - top]
            entry = {"image_id": image["id"], "category_id": class_id + 1, "bbox": box, "area": box[2] * box[3]}
            annotations.append({"id": len(annotations) + 1, "iscrowd": 0, **entry})
    path = instances.with_name("truth.json")
    path.write_text(json.dumps({**found, "annotations": annotations}))
    return path


def test_coco_and_yolo_exports_score_as_evaluate_does(tmp_path: Path, assets: Path) -> None:
    root = assets / "coco_val"
    package = fastestdet_package(tmp_path / "p", assets, threshold=0.001, clip_boxes=False)
    flags = {"model": str(package), "input": str(root / "images"), "output": str(tmp_path / "out")}
    config = read_settings(None, flags=flags, assignments=["execution.rows_per_shard=8"])
    finish_job(config, load_package(str(package)))
    export(config.output, "coco", "yolo")
    folder = tmp_path / "out" / "annotations"
    instances = folder / "coco" / "instances.json"
    truth = COCO(str(truth_for(instances, root / "boxes", tuple(coco_classes(assets)))))
    scored = COCOeval(truth, truth.loadRes(json.loads(instances.read_text())["annotations"]), "bbox")
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    ours = evaluate(EvaluateRequest(output=config.output, labels=str(root / "boxes"))).findings
    for name, value in zip(("AP", "AP50", "AP75"), scored.stats[:3], strict=True):
        assert ours[name] == pytest.approx(float(value), abs=1e-9), name
    assert ours["AP"] == pytest.approx(0.2174, abs=0.0005)
    # Through YOLO's text the boxes move by less than a unit of its six digits, and no match changes.
    moved = read_yolo(str(folder / "yolo" / "labels"), ClassIds(tuple(coco_classes(assets))))
    assert sum(len(one.class_ids) for one in moved.values()) == len(json.loads(instances.read_text())["annotations"])
    assert all(np.isfinite(one.boxes_xyxy).all() for one in moved.values())
