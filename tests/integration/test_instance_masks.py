"""Masks of drawn objects, whose truth is known, through the whole way from pixels to rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.prepare import plan_fit
from inference_core.prepare.placement import seen_part
from inference_core.results import Detection
from inference_core.run_length import decode_mask
from inference_core.tasks.build import build_task
from jobs.settings import read_settings
from tests.drawn_objects import CLASSES, DECODERS, Mask, Shape, disc, draw, drawn_package, mask_iou, rectangle, ring
from tests.integration.commands import ROOT, command, run_arguments
from tests.jobs.local_run import plan_job, read_rows, run_shards

# pycocotools reads NumPy's arrays in a way that NumPy 2 warns of.
reads_with_coco = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FITS: dict[str, dict[str, Any]] = {
    "letterbox": {"fit": "letterbox", "size_hw": [256, 320]},
    "stretch": {"fit": "stretch", "size_hw": [256, 256]},
    "crop": {"fit": "shortest_side_crop", "size_hw": [256, 256], "resize_px": 280},
    "native": {"fit": "native", "multiple_px": 32},
    "tile": {"fit": "tile", "size_hw": [192, 192], "overlap_px": 64},
}

Scene = tuple[tuple[int, int], list[Shape]]
SCENES: dict[str, Scene] = {
    "odd": ((311, 457), [disc(90, 120, 61), rectangle(220, 130, 90, 160), ring(160, 330, 90, 50), disc(40, 420, 30)]),
    "large": ((901, 1203), [rectangle(250, 300, 340, 480), disc(560, 860, 290), disc(760, 200, 110)]),
    "narrow": ((97, 403), [disc(50, 60, 40), rectangle(45, 250, 60, 190), disc(70, 375, 22)]),
    "at-the-edge": ((240, 251), [rectangle(60, 60, 120, 120), disc(200, 220, 70)]),
}


def least_iou(mask: Mask, *, scale: float) -> float:
    """0.95, and 0.9 for masks that the model saw with fewer than about 30 pixels across."""
    ys, xs = np.nonzero(mask)
    side = min(np.ptp(ys), np.ptp(xs)) + 1 if len(ys) else 0
    return 0.95 if side * scale >= 32 else 0.9


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("kind", DECODERS)
def test_masks_are_those_that_were_drawn(tmp_path: Path, kind: str, fit: str, scene: str) -> None:
    image_hw, shapes = SCENES[scene]
    pixels, truth = draw(image_hw, shapes)
    predictor = Predictor.load(drawn_package(tmp_path, kind, fit=FITS[fit]), device="cpu", num_threads=1)
    result = predictor.predict(pixels).result
    assert isinstance(result, Detection)
    assert result.masks is not None
    placement = plan_fit(image_hw, **FITS[fit])
    seen = np.zeros(image_hw, np.bool_)
    seen[seen_part(placement)] = True
    expected = [(index, mask & seen) for index, mask in enumerate(truth)]
    expected = [(index, mask) for index, mask in expected if mask.any()]
    scale = min(placement.scaled_hw[0] / image_hw[0], placement.scaled_hw[1] / image_hw[1])
    assert len(result.masks) == len(expected)
    for index, mask in expected:
        found = [other.to_array() for other in result.masks]
        ious = [mask_iou(other, mask) for other in found]
        best = int(np.argmax(ious))
        assert ious[best] >= least_iou(mask, scale=scale), (index, ious[best])
        assert result.labels[best] == CLASSES[index % 2]
        assert result.masks[best].area_px == np.count_nonzero(found[best])


def write_images(folder: Path) -> dict[str, list[Mask]]:
    """The scenes as PNG files and the masks in them, and one image without objects."""
    folder.mkdir()
    truth = {}
    for name, (image_hw, shapes) in {**SCENES, "nothing": ((64, 80), [])}.items():
        pixels, truth[f"{name}.png"] = draw(image_hw, shapes)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return truth


def check_objects(row: dict[str, Any], truth: list[Mask]) -> None:
    """Compare the objects of a row with what was drawn, read as a user of COCO's tools reads them."""
    assert (row["status"], row["num_objects"]) == ("ok", len(truth))
    for found in row["objects"]:
        assert found["mask"]["size"] == [row["height"], row["width"]]
        mask = np.asarray(coco.decode(found["mask"]), np.bool_)
        assert found["mask_area_px"] == coco.area(found["mask"]) == np.count_nonzero(mask)
        assert max(mask_iou(mask, other) for other in truth) >= 0.95
        left, top, width, height = coco.toBbox(found["mask"])
        box = [found[name] for name in ("x_min", "y_min", "x_max", "y_max")]
        np.testing.assert_allclose([left, top, left + width, top + height], box, atol=3)


@reads_with_coco
@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("layout", ["split", "whole"])
def test_a_job_gives_masks_that_coco_reads(tmp_path: Path, layout: str) -> None:
    truth = write_images(tmp_path / "images")
    model = drawn_package(tmp_path / "model", "yolo", fit=FITS["letterbox"])
    arguments = run_arguments(model, [tmp_path / "images"], tmp_path / "out", f"execution.layout={layout}")
    ended = command(*arguments)
    assert ended.code == 0, ended.err
    rows = read_rows(tmp_path / "out")
    assert {row["image_id"] for row in rows} == set(truth)
    for row in rows:
        check_objects(row, truth[row["image_id"]])


def test_rows_may_do_without_masks(tmp_path: Path) -> None:
    truth = write_images(tmp_path / "images")
    package = load_package(str(drawn_package(tmp_path / "model", "yolo", fit=FITS["stretch"])))
    flags = {"model": package.uri, "input": str(tmp_path / "images"), "output": str(tmp_path / "out")}
    config = read_settings(None, flags=flags, assignments=["results.masks=none"])
    run_shards(config, package, plan_job(config, package))
    for row in read_rows(tmp_path / "out"):
        assert [found["mask"] for found in row["objects"]] == [None] * len(truth[row["image_id"]])
        assert all(found["mask_area_px"] > 0 for found in row["objects"])


@pytest.mark.integration
def test_predict_prints_masks(tmp_path: Path) -> None:
    truth = write_images(tmp_path / "images")
    model = drawn_package(tmp_path / "model", "detr", fit=FITS["native"])
    image = tmp_path / "images" / "odd.png"
    start = [sys.executable, "-c", "from inference_core.cli import main; main()", "predict"]
    done = subprocess.run(
        [*start, image, "--model", model, "--device", "cpu"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert len(row["objects"]) == len(truth["odd.png"])
    for found in row["objects"]:
        mask = decode_mask(found["mask"]["counts"], image_hw=tuple(found["mask"]["size"]))
        assert max(mask_iou(mask, other) for other in truth["odd.png"]) >= 0.95


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_masks_do_not_depend_on_batch_or_engine(tmp_path: Path, engine: str) -> None:
    """Images of one, four and no objects in one forward; how many share it changes nothing of an image's answer."""
    if engine == "openvino":
        pytest.importorskip("openvino")
    model = drawn_package(tmp_path, "yolo", fit=FITS["stretch"])
    images = [draw(*scene)[0] for scene in SCENES.values()] + [np.zeros((64, 80, 3), np.uint8)]
    answers = []
    for batch_size in (1, 5):
        predictor = Predictor.load(model, device="cpu", num_threads=1, batch_size=batch_size, engine=engine)
        results = [prediction.result for prediction in predictor.predict_batch(images)]
        answers.append([result.masks for result in results if isinstance(result, Detection)])
    assert [len(masks) for masks in answers[0] if masks is not None] == [4, 3, 3, 2, 0]
    for one, other in zip(*answers, strict=True):
        assert one is not None
        assert other is not None
        for mine, theirs in zip(one, other, strict=True):
            assert mask_iou(mine.to_array(), theirs.to_array()) > 0.995  # the last bits of a batch's sums differ


def test_an_image_whose_masks_are_no_numbers_fails_alone(tmp_path: Path) -> None:
    model = drawn_package(tmp_path, "yolo", fit=FITS["stretch"])
    task = build_task(load_package(str(model)).spec)
    outputs = {"output0": np.zeros((2, 14, 5), np.float32), "output1": np.ones((2, 8, 4, 4), np.float32)}
    outputs["output0"][:, :5, 0] = [8, 8, 4, 4, 0.9]
    outputs["output1"][1, 0, 2, 2] = np.nan
    assert np.asarray(task.reduce(outputs, tile_hw=(16, 16))["finite"]).tolist() == [True, False]
