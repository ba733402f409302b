"""Ensembles whose members are shown the image differently, from the package to the answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.enhance.member_join import bands_of, join_bands, scores_of
from inference_core.enhance_spec import SCORE_MERGES
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage, load_package
from inference_core.predictor import Predictor
from inference_core.results import Classification, Detection, Embedding, MultiLabel, Segmentation
from tests.asset_packages import write_package
from tests.drawn_objects import CLASSES, disc, draw, drawn_package, mask_iou, rectangle
from tests.view_nets import view_package

SMALL, LARGE = {"fit": "stretch", "size_hw": [16, 16]}, {"fit": "letterbox", "size_hw": [24, 32]}
NATIVE = {"fit": "native", "multiple_px": 8}
TILED = {"fit": "tile", "size_hw": [16, 16], "overlap_px": 4}


def ensemble(root: Path, members: Mapping[str, float], **facts: Any) -> ModelPackage:
    """An ensemble of packages below ``root``, by folder and weight."""
    named = [{"package": f"../{name}", "weight": weight} for name, weight in members.items()]
    merge = {"merge": facts.pop("merge")} if "merge" in facts else {}
    spec = {"name": "both", "format": "ensemble", "ensemble": {"members": named, **merge}, **facts}
    return load_package(str(write_package(root / "both", spec)))


def pair(root: Path, kind: str, *inputs: dict[str, Any], weights: tuple[float, ...] = (1, 3), **facts: Any) -> Any:
    """One of the view nets under two inputs, alone and together."""
    own = {key: facts.pop(key) for key in ("output", "classes") if key in facts}
    task = facts.pop("task", None)
    alone = [
        view_package(root / f"m{index}", kind, input=given, **own, **({"task": task} if task else {}))
        for index, given in enumerate(inputs)
    ]
    together = ensemble(root, dict(zip(("m0", "m1"), weights, strict=True)), task=alone[0].spec.task, **facts)
    assert together.has_unlike_inputs
    return alone, together


def answers(package: ModelPackage, images: Any) -> list[Any]:
    predictions = Predictor.load(package, device="cpu", num_threads=1, batch_size=2).predict_batch(images)
    assert all(prediction.is_ok for prediction in predictions), predictions[0].error
    return [prediction.result for prediction in predictions]


def picture(seed: int, *, height: int = 24, width: int = 40) -> np.ndarray[Any, Any]:
    """Light and dark regions, so that sizes and fits matter."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((4, 4, 1), np.uint8)))


PICTURES = [picture(0), picture(1, height=12, width=8), picture(2)]


def test_scores_are_the_weighted_mean_of_members_that_see_other_sizes(tmp_path: Path) -> None:
    (small, large), both = pair(tmp_path, "left_right", SMALL, LARGE)
    for one, two, merged in zip(*(answers(package, PICTURES) for package in (small, large, both)), strict=True):
        scores = [dict(zip(found.class_ids.tolist(), found.scores, strict=True)) for found in (one, two, merged)]
        assert isinstance(merged, Classification)
        for class_id in (0, 1):
            expected = (scores[0][class_id] + 3 * scores[1][class_id]) / 4
            assert scores[2][class_id] == pytest.approx(expected, abs=1e-6)
        (gain,) = merged.spread.gains  # type: ignore[union-attr]
        assert gain.name == "m1"
        assert gain.changed_frac == float(one.class_ids[0] != merged.class_ids[0])


def test_members_that_share_tiles_are_normalised_each_its_own_way(tmp_path: Path) -> None:
    """They need no image space: the same tiles, a forward each, merged on the device."""
    mirrored = {**SMALL, "mean": [0.5], "std": [0.25]}
    alone = [view_package(tmp_path / f"m{i}", "left_right", input=given) for i, given in enumerate((SMALL, mirrored))]
    both = ensemble(tmp_path, {"m0": 1, "m1": 1}, task="classification")
    assert not both.has_unlike_inputs
    one, two, merged = (answers(package, PICTURES[:1])[0] for package in (*alone, both))
    expected = [
        np.mean([dict(zip(r.class_ids.tolist(), r.scores, strict=True))[k] for r in (one, two)]) for k in (0, 1)
    ]
    np.testing.assert_allclose(sorted(merged.scores), sorted(expected), atol=1e-6)


@pytest.mark.parametrize("task", ["multilabel", "embedding"])
def test_other_tasks_are_merged_likewise(tmp_path: Path, task: str) -> None:
    more = {"classes": []} if task == "embedding" else {"output": {"activation": "sigmoid"}}
    (small, large), both = pair(tmp_path, "left_right", SMALL, LARGE, task=task, weights=(1, 1), **more)
    one, two, merged = (answers(package, PICTURES[:1])[0] for package in (small, large, both))
    if isinstance(merged, Embedding):
        np.testing.assert_allclose(merged.vector, np.concatenate([one.vector, two.vector]) / 2**0.5, rtol=1e-6)
        return
    assert isinstance(merged, MultiLabel)
    by_class = [dict(zip(r.top_class_ids.tolist(), r.top_scores, strict=True)) for r in (one, two, merged)]
    assert by_class[2] == pytest.approx({k: (by_class[0][k] + by_class[1][k]) / 2 for k in (0, 1)}, abs=1e-6)


@pytest.mark.parametrize(
    "inputs",
    [
        pytest.param((NATIVE, LARGE), id="letterbox"),
        pytest.param((SMALL, NATIVE), id="stretch"),
        pytest.param((NATIVE, TILED), id="tiles"),
    ],
)
def test_masks_of_two_classes_are_merged_pixel_by_pixel(tmp_path: Path, inputs: Any) -> None:
    alone, both = pair(tmp_path, "shade", *inputs, uncertainty={"measure": "std"})
    for one, two, merged in zip(*(answers(package, PICTURES) for package in (*alone, both)), strict=True):
        assert isinstance(merged, Segmentation)
        expected = (one.scores.astype(float) + 3 * two.scores.astype(float)) / 4
        assert np.abs(merged.scores - expected).max() <= 0.501
        np.testing.assert_array_equal(merged.mask, (expected / 255 >= 0.5 - 1e-6).astype(np.uint8))
        difference = np.abs(one.scores.astype(float) - two.scores)  # of two values, weighted 1 and 3
        np.testing.assert_allclose(merged.spread.pixels, difference * np.sqrt(3) / 4, atol=0.501)
        (gain,) = merged.spread.gains
        assert gain.changed_frac == pytest.approx(np.mean(one.mask != merged.mask))


@pytest.mark.parametrize("merge", SCORE_MERGES)
def test_merging_in_the_image_is_merging_on_the_device(tmp_path: Path, merge: str) -> None:
    """Two native inputs that differ in the padding alone show every pixel alike."""
    (_, _), apart = pair(tmp_path / "apart", "shade", NATIVE, {**NATIVE, "multiple_px": 4}, merge=merge)
    for index in (0, 1):
        view_package(tmp_path / "alike" / f"m{index}", "shade", input=NATIVE)
    alike = ensemble(tmp_path / "alike", {"m0": 1, "m1": 3}, task="segmentation", merge=merge)
    for one, other in zip(answers(apart, PICTURES), answers(alike, PICTURES), strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
        assert np.abs(one.scores.astype(int) - other.scores).max() <= 1


@pytest.mark.parametrize("merge", ["wbf", "nms"])
def test_boxes_and_masks_meet_in_the_image(tmp_path: Path, merge: str) -> None:
    fits = [{"fit": "native", "multiple_px": 4}, {"fit": "letterbox", "size_hw": [96, 96]}]
    for index, fit in enumerate(fits):
        drawn_package(tmp_path / f"m{index}", "mask2former", fit=fit)
    both = ensemble(tmp_path, {"m0": 1, "m1": 1}, task="detection", merge=merge)
    assert both.has_unlike_inputs
    image, masks = draw((64, 80), [disc(20, 20, 12), rectangle(40, 55, 20, 24)])
    found, nothing = answers(both, [image, np.zeros_like(image)])
    assert isinstance(found, Detection)
    order = [found.labels.index(name) for name in CLASSES]
    assert sorted(order) == [0, 1]
    assert found.masks is not None
    assert all(mask_iou(found.masks[row].to_array(), shown) > 0.93 for row, shown in zip(order, masks, strict=True))
    np.testing.assert_allclose(found.boxes_xyxy[order], [[8, 8, 32, 32], [43, 30, 67, 50]], atol=1)
    alone = [answers(load_package(str(tmp_path / f"m{index}")), [image])[0] for index in (0, 1)]
    assert found.labels == alone[0].labels == alone[1].labels
    scores, boxes = (np.stack([getattr(one, name) for one in alone]) for name in ("scores", "boxes_xyxy"))
    assert np.abs(scores[0] - scores[1]).max() > 0.03  # they see other sizes, so the merge has something to do
    best = np.argmax(scores, axis=0), np.arange(2)
    shares = (scores / scores.sum(axis=0))[..., None]
    fused, kept = (scores.mean(axis=0), (shares * boxes).sum(axis=0)), (scores[best], boxes[best])
    expected = fused if merge == "wbf" else kept
    np.testing.assert_allclose(found.scores, expected[0], atol=1e-6)  # float32
    np.testing.assert_allclose(found.boxes_xyxy, expected[1], atol=1e-4)  # of pixels up to 67
    assert found.spread is not None
    assert [gain.changed_frac for gain in found.spread.gains] == [0.0]
    assert (len(nothing.scores), nothing.masks) == (0, ())


def test_masks_of_tiled_members_stay_whole(tmp_path: Path) -> None:
    fits = [{"fit": "tile", "size_hw": [64, 64], "overlap_px": 16}, {"fit": "native", "multiple_px": 4}]
    for index, fit in enumerate(fits):
        drawn_package(tmp_path / f"m{index}", "mask2former", fit=fit)
    both = ensemble(tmp_path, {"m0": 5, "m1": 1}, task="detection")
    image, masks = draw((64, 112), [disc(32, 56, 26)])  # over the seam, so that its mask has two parts
    (found,) = answers(both, [image])
    assert len(found.masks) == 1
    assert mask_iou(found.masks[0].to_array(), masks[0]) > 0.95


def test_what_one_member_cannot_answer_has_no_answer(tmp_path: Path) -> None:
    """The other images of the batch keep theirs."""
    view_package(tmp_path / "m0", "left_right", input=SMALL)
    overflowing = {**LARGE, "scale": 1e-3}
    view_package(tmp_path / "m1", "left_right", net={"gain": 1e36}, input=overflowing)
    both = ensemble(tmp_path, {"m0": 1, "m1": 1}, task="classification")
    images = [picture(0) * 0, picture(0), b"no image", picture(1) * 0]
    images[0] = np.zeros((24, 32, 3), np.uint8)
    images[3] = np.zeros((24, 32, 3), np.uint8)
    found = Predictor.load(both, device="cpu").predict_batch(images)
    assert [one.status for one in found] == ["ok", "infer_error", "unsupported", "ok"]
    assert "not finite" in found[1].error


def test_a_large_image_is_merged_in_bands(tmp_path: Path) -> None:
    (one, two), both = pair(tmp_path, "shade", NATIVE, {**NATIVE, "multiple_px": 16}, weights=(1, 1), uncertainty={})
    tall = np.repeat(np.linspace(0, 255, 2100, dtype=np.uint8)[:, None, None], 2048, axis=1).repeat(3, axis=2)
    assert len(list(bands_of((1, *tall.shape[:2])))) == 2
    expected, found = answers(one, [tall])[0], answers(both, [tall])[0]
    np.testing.assert_array_equal(found.mask, expected.mask)
    assert found.spread.pixels.shape == tall.shape[:2]
    assert two.digest != one.digest


@given(st.integers(1, 300), st.integers(1, 5000), st.integers(1, 5000))
def test_bands_cover_every_row_once(num_classes: int, height: int, width: int) -> None:
    rows = [row for band in bands_of((num_classes, height, width)) for row in range(band.start, band.stop)]
    assert rows == list(range(height))


def test_numbers_of_bands_are_weighted_by_their_rows() -> None:
    bands = [np.float32([[0.2, 1.0]]), np.float32([[0.8, 0.0]])]
    np.testing.assert_allclose(join_bands(bands, [3, 1]), [[0.35, 0.75]])
    planes = [np.zeros((1, 3, 5), np.uint8), np.ones((1, 1, 5), np.uint8)]
    assert join_bands(planes, [3, 1]).sum(axis=(0, 2)).tolist() == [0, 0, 0, 5]


def test_competing_scores_sum_to_one_after_rounding() -> None:
    planes = np.uint8([[[85, 0]], [[85, 0]], [[84, 255]]])
    np.testing.assert_allclose(scores_of(planes, competes=True).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(scores_of(planes, competes=False)[0, :, 0, 0] * 255, [85, 85, 84], rtol=1e-6)
    assert not scores_of(planes * 0, competes=True).any()


def test_members_that_cut_the_image_cannot_tell_of_all_its_pixels(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"ensemble.members.1: must see the whole image .*got input.fit shortest_side"
    ):
        pair(tmp_path, "shade", SMALL, {"fit": "shortest_side_crop", "size_hw": [16, 16]})
    (_, both) = pair(tmp_path / "classes", "left_right", SMALL, {"fit": "shortest_side_crop", "size_hw": [16, 16]})
    assert both.has_unlike_inputs


def test_a_batch_size_cannot_be_chosen_for_several_inputs(tmp_path: Path) -> None:
    _, both = pair(tmp_path, "left_right", SMALL, LARGE)
    with pytest.raises(ConfigError, match="batch_size: must be a number for an ensemble whose members are prepared"):
        Predictor.load(both, device="cpu", batch_size="auto", sample=PICTURES)
