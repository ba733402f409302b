"""Real trained weights reach the figures that an independent implementation got from the same files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inference_core.engines.build import build_engine
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer
from inference_core.predictor import Predictor
from inference_core.records import Classification, Segmentation
from tests.asset_packages import MOBILENET_FILES, camvid_package, mobilenet_package, retina_package

pytestmark = pytest.mark.assets

Labelled = list[tuple[Path, int]]


@pytest.fixture(scope="module")
def photographs(assets: Path) -> Labelled:
    """100 photographs with their ImageNet class, in the order of the expected logits."""
    with (assets / "classification" / "imagenet_labels.csv").open() as table:
        return [
            (assets / "classification" / "imagenet" / row["file"], int(row["index"])) for row in csv.DictReader(table)
        ]


def logits_of(package: ModelPackage, paths: list[Path]) -> NDArray[np.float32]:
    """(N, K) outputs of the model itself, before any score is made of them."""
    preparer = build_preparer(package)
    items = [preparer.prepare(path.read_bytes(), image_id=path.name) for path in paths]
    tiles = np.concatenate([item.prepared.tiles for item in items if item.prepared is not None])
    assert len(tiles) == len(paths)
    engine = build_engine(package, device="cpu", precision="fp32", num_threads=2)
    (logits,) = engine.run(tiles).values()
    return np.asarray(logits)


@pytest.mark.parametrize("kind", MOBILENET_FILES)
def test_mobilenet_gives_the_expected_logits(kind: str, photographs: Labelled, assets: Path, tmp_path: Path) -> None:
    package = load_package(str(mobilenet_package(tmp_path, assets, kind=kind)))
    expected = np.load(assets / "expected" / "mobilenet_v1_025_128.logits.npy")
    np.testing.assert_allclose(logits_of(package, [path for path, _ in photographs]), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", MOBILENET_FILES)
def test_mobilenet_is_as_right_as_the_reference(kind: str, photographs: Labelled, assets: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(mobilenet_package(tmp_path, assets, kind=kind), device="cpu", num_threads=2)
    top1 = top5 = 0
    for prediction, (_, class_id) in zip(
        predictor.predict_batch([path for path, _ in photographs]), photographs, strict=True
    ):
        assert isinstance(prediction.result, Classification)
        top1 += prediction.result.class_ids[0] == class_id
        top5 += class_id in prediction.result.class_ids
    assert (top1, top5) == (52, 76)


def masks_of(package: Path, paths: list[Path]) -> list[NDArray[np.uint8]]:
    predictor = Predictor.load(package, device="cpu", batch_size=4, num_threads=2)
    results = [prediction.result for prediction in predictor.predict_batch(paths)]
    return [result.mask for result in results if isinstance(result, Segmentation)]


def opened(path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_espnet_on_camvid(assets: Path, tmp_path: Path) -> None:
    folder, num_classes, unlabelled = assets / "camvid", 12, 11
    paths = sorted((folder / "images").glob("*.png"))
    confusion = np.zeros((num_classes, num_classes), np.int64)  # (truth, prediction)
    for path, mask in zip(paths, masks_of(camvid_package(tmp_path, assets), paths), strict=True):
        truth = opened(folder / "masks" / path.name).astype(np.int64)
        is_labelled = truth != unlabelled
        joint = truth[is_labelled] * num_classes + mask[is_labelled]
        confusion += np.bincount(joint, minlength=num_classes**2).reshape(num_classes, num_classes)
    right = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    assert np.mean((right / union)[:unlabelled]) == pytest.approx(0.580, abs=0.0005)
    assert right.sum() / confusion.sum() == pytest.approx(0.8678, abs=0.00005)


def test_retina_unet_on_chase_in_tiles(assets: Path, tmp_path: Path) -> None:
    folder = assets / "retina" / "chasedb1"
    paths = sorted((folder / "images").glob("*.jpg"))
    dices = []
    for path, mask in zip(paths, masks_of(retina_package(tmp_path, assets), paths), strict=True):
        truth = opened(folder / "masks" / f"{path.stem}.png") > 0
        dices.append(2 * np.sum((mask == 1) & truth) / (np.sum(mask == 1) + np.sum(truth)))
    assert len(dices) == 4
    assert np.mean(dices) == pytest.approx(0.702, abs=0.01)
