"""Several forwards from the package to the answer, on models whose answers to views are known."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from inference_core.engines.build import build_engine
from inference_core.engines.protocol import LoadingEngine
from inference_core.engines.torch_engine import TorchEngine
from inference_core.enhance.build import build_answer, build_package_engine
from inference_core.enhance.engine import EnhancedEngine, OverlappedEnhancedEngine
from inference_core.enhance.forwards import ViewsOfModel
from inference_core.enhance_spec import SCORE_MERGES
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer
from inference_core.predictor import Predictor
from inference_core.results import Classification, Detection, Segmentation
from inference_core.runner import Runner
from inference_core.tasks.build import build_task
from tests.asset_packages import write_package
from tests.bright_box import BrightBox
from tests.drawn_objects import CLASSES, DECODERS, disc, draw, drawn_package, mask_iou, rectangle
from tests.onnx_graphs import pixel_planes
from tests.specs import package_of
from tests.view_nets import view_package

ALL_VIEWS = ["hflip", "vflip", "rot90", "rot180", "rot270", "hflip*rot90", "hflip*rot270"]


def picture(seed: int, *, height: int = 24, width: int = 40) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def answers(package: ModelPackage, images: Any, *, device: str = "cpu") -> list[Any]:
    predictor = Predictor.load(package, device=device, precision="fp32", num_threads=1)
    predictions = predictor.predict_batch(images)
    assert all(prediction.is_ok for prediction in predictions), predictions[0].error
    return [prediction.result for prediction in predictions]


def planes_package(**options: Any) -> ModelPackage:
    """Three classes by colour, pixel by pixel, by ONNX Runtime."""
    return package_of(
        pixel_planes(4 * np.eye(3)),
        {"task": "segmentation", "input": {"fit": "native", "multiple_px": 8}, **options},
    )


@pytest.mark.parametrize("merge", SCORE_MERGES)
@pytest.mark.parametrize("resize_from", ["class_map", "scores"])
def test_a_model_that_sees_pixels_alone_answers_every_view_alike(merge: str, resize_from: str) -> None:
    images = [picture(0), picture(1, height=9, width=7)]
    plain = answers(planes_package(output={"resize_from": resize_from}), images)
    merged = answers(
        planes_package(output={"resize_from": resize_from}, tta={"views": ALL_VIEWS, "merge": merge}), images
    )
    for one, other in zip(plain, merged, strict=True):
        assert isinstance(one, Segmentation)
        np.testing.assert_array_equal(one.mask, other.mask)
        if merge != "vote":
            assert np.abs(one.scores.astype(int) - other.scores).max() <= 1
        assert [gain.name for gain in other.spread.gains] == ALL_VIEWS
        assert all(gain.changed_frac == 0 and gain.score_shift < 1e-6 for gain in other.spread.gains)


@pytest.mark.parametrize("merge", SCORE_MERGES)
def test_and_so_does_one_of_two_classes_on_torch(tmp_path: Path, merge: str, device: str) -> None:
    images = [picture(0), picture(1, height=9, width=7)]
    plain = answers(view_package(tmp_path / "plain", "shade"), images, device=device)
    tta = {"views": ALL_VIEWS, "merge": merge}
    merged = answers(view_package(tmp_path / "views", "shade", tta=tta), images, device=device)
    for one, other in zip(plain, merged, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert merge == "vote" or np.abs(one.scores.astype(int) - other.scores).max() <= 1


class CpuLoader:
    """An engine on the CPU that lets its batches be begun, as one on CUDA does.

    Args:
        engine: of torch.
    """

    def __init__(self, engine: TorchEngine) -> None:
        self.facts = engine.facts
        self.engine = engine
        self.num_begun = 0

    def run(self, batch: Any) -> Any:
        return self.engine.run(batch)

    def load(self, batch: Any) -> Any:
        return self.engine.load(batch)

    def run_loaded(self, pixels: Any, *, dropout_seed: Any = None) -> Any:
        return self.engine.run_loaded(pixels, dropout_seed=dropout_seed)

    def enable_dropout(self) -> None:
        self.engine.enable_dropout()

    def begin_load(self, tiles: Any) -> Any:
        self.num_begun += 1
        return self.engine.load(np.stack(tiles))

    def submit(self, tiles: Any) -> Any:
        return self.run(np.stack(tiles))

    def fetch(self, arrays: Any) -> Any:
        return lambda: {name: np.asarray(array) for name, array in arrays.items()}


@pytest.mark.parametrize("more", [{}, {"dropout": {"samples": 3}}], ids=["views", "views and dropout"])
def test_batches_that_overlap_give_the_same(tmp_path: Path, more: dict[str, Any]) -> None:
    package = view_package(tmp_path, "dropping", tta=["hflip", "rot90"], **more)
    built = build_engine(package, device="cpu", precision="fp32", num_threads=1)
    assert isinstance(built, TorchEngine)
    engine = CpuLoader(built)
    source, answer = ViewsOfModel(engine, package.spec, code=package.code), build_answer(package.spec)
    overlapped = OverlappedEnhancedEngine(source, answer, engines=[engine], loaders=[engine], facts=engine.facts)
    preparer, task = build_preparer(package), build_task(package.spec)
    items = [preparer.prepare(picture(seed), image_id=str(seed)) for seed in range(7)]
    expected = Runner(EnhancedEngine(source, answer, engines=[engine], facts=engine.facts), task, batch_size=3).infer(
        items
    )
    assert engine.num_begun == 0
    found = Runner(overlapped, task, batch_size=3).infer(items)
    assert engine.num_begun == 3
    for one, other in zip(expected, found, strict=True):
        assert one.raw is not None
        assert other.raw is not None
        assert one.raw.keys() == other.raw.keys()
        assert all(np.array_equal(one.raw[name], other.raw[name]) for name in one.raw)


def test_scales_go_with_images_of_any_size(tmp_path: Path) -> None:
    smooth = np.repeat(np.linspace(0, 255, 40, dtype=np.uint8)[None, :, None], 24, axis=0).repeat(3, axis=2)
    plain = answers(view_package(tmp_path / "plain", "shade"), [smooth])[0]
    scaled = answers(view_package(tmp_path / "views", "shade", tta=["scale:2", "hflip*scale:0.5"]), [smooth])[0]
    assert np.mean(plain.mask != scaled.mask) < 0.05


@pytest.mark.parametrize("merge", ["nms", "wbf"])
def test_boxes_of_all_views_are_one_box(tmp_path: Path, merge: str) -> None:
    torch.save(BrightBox().state_dict(), tmp_path / "net.pth")
    facts = {
        "name": "bright",
        "task": "detection",
        "format": "state_dict",
        "weights": "net.pth",
        "architecture": {"import": "tests.bright_box:BrightBox"},
        "classes": ["other", "bright"],
        "input": {"fit": "native", "multiple_px": 1},
        "output": {"decoder": {"name": "torchvision"}, "nms": {"method": "none"}},
    }
    image = np.zeros((24, 40, 3), np.uint8)
    image[3:9, 5:21] = 255
    plain = answers(load_package(str(write_package(tmp_path, facts))), [image])[0]
    views = {"tta": {"views": ALL_VIEWS, "merge": merge}}
    found, nothing = answers(load_package(str(write_package(tmp_path, {**facts, **views}))), [image, image * 0])
    assert isinstance(plain, Detection)
    np.testing.assert_allclose(found.boxes_xyxy, [[5, 3, 21, 9]], atol=1e-5)
    np.testing.assert_allclose(found.scores, plain.scores, atol=1e-6)
    assert found.class_ids.tolist() == [1]
    assert len(nothing.scores) == 0
    assert {gain.changed_frac for gain in (*found.spread.gains, *nothing.spread.gains)} == {0.0}


def test_a_mirror_that_changes_the_answer_is_a_gain(tmp_path: Path) -> None:
    left = np.zeros((16, 16, 3), np.uint8)
    left[:, :8] = 255
    package = view_package(tmp_path, "left_right", tta={"views": ["vflip", "hflip"], "merge": "mean"})
    (result,) = answers(package, [left])
    score = float(np.exp(8) / (np.exp(8) + 1))
    assert isinstance(result, Classification)
    np.testing.assert_allclose(
        result.scores, [(2 * score + 1 - score) / 3, (1 - score + 1 - score + score) / 3], atol=1e-5
    )
    same, other = result.spread.gains
    assert (same.name, same.changed_frac) == ("vflip", 0.0)
    assert same.score_shift == pytest.approx(0, abs=1e-6)
    assert (other.name, other.changed_frac) == ("hflip", 0.0)
    assert other.score_shift == pytest.approx(score - float(result.scores[0]), abs=1e-5)
    (flipped,) = answers(view_package(tmp_path / "more", "left_right", tta=["hflip*rot180", "hflip", "rot180"]), [left])
    assert [gain.changed_frac for gain in flipped.spread.gains] == [0.0, 0.0, 0.0]  # ties go to the lower class


def test_an_answer_does_not_depend_on_what_shares_the_batch(tmp_path: Path) -> None:
    package = view_package(
        tmp_path, "shade", tta={"views": ["hflip", "rot90"], "merge": "geometric"}, uncertainty={"measure": "std"}
    )
    images = [picture(seed) for seed in range(5)]
    together = answers(package, images)
    alone = [answers(package, [image])[0] for image in images]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.spread.pixels, other.spread.pixels)


@pytest.mark.parametrize("measure", ["entropy", "mutual_information", "std"])
def test_uncertainty_comes_in_the_images_own_pixels(measure: str) -> None:
    tta = {"tta": ["hflip"]}
    package = planes_package(uncertainty={"measure": measure, "threshold": 0.5}, **tta)
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :10] = (255, 0, 0)  # certain; the rest is none of the colours
    (result,) = answers(package, [image])
    assert result.spread.pixels.shape == (20, 30)
    certain, unsure = result.spread.pixels[:, :9], result.spread.pixels[:, 11:]
    scores = np.exp([4, 0, 0]) / np.exp([4, 0, 0]).sum()
    entropy = -(scores * np.log(scores)).sum() / np.log(3)
    assert (certain == (round(entropy * 255) if measure == "entropy" else 0)).all()
    assert (unsure == (255 if measure == "entropy" else 0)).all()


def test_uncertainty_of_one_forward_is_its_entropy(tmp_path: Path) -> None:
    package = view_package(tmp_path, "shade", uncertainty={"threshold": 0.9})
    (result,) = answers(package, [np.full((16, 16, 3), 128, np.uint8)])
    assert result.spread.pixels.min() >= 254
    assert result.spread.gains == ()
    plain = answers(view_package(tmp_path / "plain", "shade"), [picture(0)])[0]
    told = answers(view_package(tmp_path / "told", "shade", uncertainty={}), [picture(0)])[0]
    np.testing.assert_array_equal(plain.scores, told.scores)


def test_an_image_whose_output_is_not_finite_fails_alone(tmp_path: Path) -> None:
    overflowing = {"fit": "stretch", "size_hw": [16, 16], "scale": 1e-3}
    package = view_package(tmp_path, "left_right", net={"gain": 1e36}, input=overflowing, tta=["hflip"])
    dark, light = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 200, np.uint8)
    found = Predictor.load(package, device="cpu").predict_batch([dark, light, dark])
    assert [one.status for one in found] == ["ok", "infer_error", "ok"]
    assert "the model's output is not finite" in found[1].error


def test_a_package_that_asks_for_one_forward_gets_its_plain_engine(tmp_path: Path) -> None:
    plain = build_package_engine(view_package(tmp_path, "shade"), device="cpu", precision="fp32", num_threads=1)
    lone = view_package(tmp_path / "lone", "shade", tta=["identity"])
    assert isinstance(plain, LoadingEngine)
    assert type(build_package_engine(lone, device="cpu", precision="fp32", num_threads=1)) is type(plain)


def test_features_of_views_are_averaged_before_they_are_scaled(tmp_path: Path) -> None:
    left = np.zeros((16, 16, 3), np.uint8)
    left[:, :8] = 255
    package = view_package(
        tmp_path, "left_right", task="embedding", classes=[], output={"l2_normalize": True}, tta=["hflip"]
    )
    (result,) = answers(package, [left])
    np.testing.assert_allclose(result.vector, [0.5**0.5] * 2, atol=1e-6)
    assert result.norm == pytest.approx(4 * 2**0.5)


@pytest.mark.parametrize("merge", ["nms", "wbf"])
@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_instance_masks_of_all_views_are_those_of_one(tmp_path: Path, kind: str, merge: str) -> None:
    fit = {"fit": "native", "multiple_px": 4}
    plain = load_package(str(drawn_package(tmp_path / "plain", kind, fit=fit)))
    image, masks = draw((64, 80), [disc(20, 24, 12), rectangle(40, 56, 16, 24)])  # sides and gaps are multiples of 4
    (expected,) = answers(plain, [image])
    facts = yaml.safe_load((tmp_path / "plain" / "model.yaml").read_text())
    folder = tmp_path / "views"
    shutil.copytree(tmp_path / "plain", folder)
    views = {"tta": {"views": ALL_VIEWS, "merge": merge}}
    found, nothing = answers(load_package(str(write_package(folder, {**facts, **views}))), [image, image * 0])
    assert found.labels == expected.labels
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=0.01)
    for one, other in zip(found.masks, expected.masks, strict=True):
        assert mask_iou(one.to_array(), other.to_array()) > 0.99
    assert max(mask_iou(found.masks[0].to_array(), shown) for shown in masks) > 0.9
    assert (len(nothing.scores), nothing.masks) == (0, ())


def test_members_with_instance_masks_share_a_forward(tmp_path: Path) -> None:
    fit = {"fit": "native", "multiple_px": 4}
    drawn_package(tmp_path / "one", "yolo", fit=fit)
    drawn_package(tmp_path / "two", "mask2former", fit=fit)
    members = [{"package": "../one"}, {"package": "../two"}]
    facts = {"name": "both", "task": "detection", "format": "ensemble", "ensemble": {"members": members}}
    package = load_package(str(write_package(tmp_path / "both", facts)))
    assert not package.has_unlike_inputs
    image, masks = draw((64, 80), [disc(20, 24, 12), rectangle(40, 56, 16, 24)])
    (found,) = answers(package, [image])
    assert len(found.masks) == len(masks)
    for name, shown in zip(CLASSES, masks, strict=True):
        assert mask_iou(found.masks[found.labels.index(name)].to_array(), shown) > 0.9
