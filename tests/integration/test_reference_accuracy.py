"""Real trained weights reach the figures that an independent implementation got from the same files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_core.engines.build import build_engine
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer
from tests.asset_packages import MOBILENET_FILES, mobilenet_package

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
