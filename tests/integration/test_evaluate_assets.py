"""Runs over real images, held to their labels by ``millrace evaluate``, reach the reference figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference_core.models.package import load_package
from jobs.evaluation.evaluate import evaluate
from jobs.evaluation.request import EvaluateRequest, FitRequest
from jobs.evaluation.result import EvaluationResult
from jobs.settings import read_settings
from tests.asset_packages import camvid_package, mobilenet_package
from tests.detection_packages import fastestdet_package, multilabel_package
from tests.format_packages import deeplab_package
from tests.jobs.local_run import finish_job

pytestmark = pytest.mark.assets


def evaluated(folder: Path, package: Path, images: Path, labels: Path, **options: Any) -> EvaluationResult:
    """A finished job's figures."""
    flags = {"model": str(package), "input": str(images), "output": str(folder / "out")}
    config = read_settings(None, flags=flags, assignments=[])
    finish_job(config, load_package(str(package)))
    return evaluate(EvaluateRequest(output=config.output, labels=str(labels), **options))


def check(result: EvaluationResult, expected: dict[str, float], *, tolerance: float) -> None:
    for name, value in expected.items():
        assert result.findings[name] == pytest.approx(value, abs=tolerance), name


def test_classes_of_photographs(tmp_path: Path, assets: Path) -> None:
    root = assets / "classification"
    result = evaluated(
        tmp_path, mobilenet_package(tmp_path / "p", assets), root / "imagenet", root / "imagenet_labels.csv"
    )
    check(result, {"accuracy": 0.52, "top-5": 0.76}, tolerance=1e-9)
    chosen = FitRequest(sets="lac", coverage_frac=0.8)
    request = EvaluateRequest(output=result.run.output, labels=result.labels, fit=chosen, division=chosen)
    fit = evaluate(request).fit
    assert fit is not None
    assert fit.calibration is not None
    assert fit.sets is not None
    assert fit.calibration.after.nll < fit.calibration.before.nll
    assert fit.sets.interval is not None
    assert fit.sets.interval.low < 0.8 < fit.sets.interval.high


def test_pixels_of_street_scenes(tmp_path: Path, assets: Path) -> None:
    class_map = tmp_path / "map.yaml"
    class_map.write_text("Unlabelled: null\n")
    root = assets / "camvid"
    package = camvid_package(tmp_path / "p", assets)
    result = evaluated(tmp_path, package, root / "images", root / "masks", class_map=str(class_map))
    check(result, {"mIoU": 0.580, "pixel accuracy": 0.8678}, tolerance=0.0005)


def test_pixels_with_other_class_numbers(tmp_path: Path, assets: Path) -> None:
    """COCO's category ids are read as VOC's classes; what VOC lacks is background."""
    entries = json.loads((assets / "coco_val" / "voc21_from_coco.json").read_text())
    lines = [f"{entry['coco_category_id']}: {entry['name']}\n" for entry in entries[1:]]
    class_map = tmp_path / "map.yaml"
    class_map.write_text("".join(lines) + "0: null\n'*': background\n")
    root, package = assets / "coco_val", deeplab_package(tmp_path / "p", assets, kind="onnx")
    result = evaluated(tmp_path, package, root / "images", root / "masks", class_map=str(class_map))
    check(result, {"mIoU": 0.509, "pixel accuracy": 0.8966}, tolerance=0.0005)


def test_boxes_of_photographs(tmp_path: Path, assets: Path) -> None:
    package = fastestdet_package(tmp_path / "p", assets, threshold=0.001, clip_boxes=False)
    result = evaluated(tmp_path, package, assets / "coco_val" / "images", assets / "coco_val" / "boxes")
    check(result, {"AP": 0.2174, "AP50": 0.4483, "AP75": 0.1995}, tolerance=0.0005)
    chosen = FitRequest(fit_frac=0.84)
    request = EvaluateRequest(output=result.run.output, labels=result.labels, fit=chosen, division=chosen, recall=0.3)
    again = evaluate(request)
    assert again.fit is not None
    assert again.fit.calibration is None
    best = again.fit.thresholds[0]
    assert best.label == ""
    assert best.measured.f1 > best.present.f1
    assert again.wanted[0].is_above


def test_labels_of_photographs(tmp_path: Path, assets: Path) -> None:
    package = multilabel_package(tmp_path / "p", assets)
    result = evaluated(tmp_path, package, assets / "coco_val" / "images", assets / "coco_val" / "multilabel.csv")
    check(result, {"macro mAP": 0.7709, "micro mAP": 0.7221}, tolerance=0.0005)
