"""Weights in every format reach the figures that an independent implementation got from the same files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from inference_core.engine_choice import choose_engine
from inference_core.engines.build import build_engine
from inference_core.engines.choose import FLIP_TOLERANCE_FRAC
from inference_core.engines.cpu_features import has_bf16
from inference_core.models.package import load_package
from inference_core.pipeline import build_preparer
from tests.format_packages import (
    mobilenet_025_package,
)
from tests.integration.reference_table import labelled_images
from tests.specs import package_of

pytestmark = pytest.mark.assets

ENGINE_TOLERANCE = 2e-5
"""Largest difference of two engines in fp32, as a share of the largest output: sums in another order over 20 layers."""


def raw_outputs(package: Path, paths: Sequence[Path], *, engine: str) -> NDArray[np.float32]:
    """The model's first output for each image."""
    read = load_package(str(package))
    preparer = build_preparer(read)
    tiles = [preparer.prepare(path.read_bytes(), image_id=path.name).prepared for path in paths]
    built = build_engine(read, device="cpu", precision="fp32", num_threads=1, engine=engine)
    rows = []
    for start in range(0, len(tiles), 10):
        batch = np.concatenate([tile.tiles for tile in tiles[start : start + 10] if tile])
        rows.append(np.asarray(next(iter(built.run(batch).values()))))
    return np.concatenate(rows)


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        pytest.param("torch_export", "torch", id="pt2"),
        pytest.param("keras", "torch", id="keras"),
        pytest.param("savedmodel", "openvino", id="savedmodel"),
        pytest.param("onnx", "onnxruntime", id="onnx"),
        pytest.param("onnx", "openvino", id="onnx-openvino"),
    ],
)
def test_mobilenet_025_logits(tmp_path: Path, assets: Path, kind: str, engine: str) -> None:
    package = mobilenet_025_package(tmp_path, assets, kind=kind)
    images = [path for path, _ in labelled_images(assets, "imagenet")]
    found = raw_outputs(package, images, engine=engine)
    expected = np.load(assets / "expected" / "mobilenet_v1_025_128.logits.npy")
    # The reference's own runs of the formats differ by 3e-5.
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("path", "input_options"),
    [
        pytest.param("classification/mobilenet_v1_050_160", {"size_hw": [160, 160]}, id="mobilenet-050"),
        pytest.param("segmentation/espnet_p2_q8_camvid", {"size_hw": [96, 128]}, id="espnet"),
        pytest.param("segmentation/retina_unet_drive", {"size_hw": [64, 64], "color": "gray"}, id="retina-unet"),
        pytest.param("segmentation/deeplabv3_mnv2_dm05_pascal", {"size_hw": [513, 513]}, id="deeplab"),
        pytest.param("detection/fastestdet_coco_dyn", {"size_hw": [352, 352]}, id="fastestdet"),
        pytest.param("detection/ultraface_slim_320", {"size_hw": [240, 320]}, id="ultraface"),
        pytest.param("multilabel/fastestdet_multilabel80", {"size_hw": [352, 352]}, id="multilabel"),
    ],
)
def test_openvino_gives_what_onnx_runtime_gives(
    assets: Path, path: str, input_options: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    package = package_of(
        (assets / "models" / f"{path}.onnx").read_bytes(), {"input": {"fit": "stretch", **input_options}}
    )
    with Image.open(assets / "coco_val" / "images" / "000000000139.jpg") as image:
        pixels = image.convert("L" if "color" in input_options else "RGB").resize(input_options["size_hw"][::-1])
    batch = np.asarray(pixels).reshape(1, *input_options["size_hw"], -1)
    found, expected = (
        build_engine(package, device="cpu", precision="fp32", num_threads=1, engine=engine).run(batch)
        for engine in ("openvino", "onnxruntime")
    )
    assert list(found) == list(expected)
    for name, output in expected.items():
        difference = float(np.abs(found[name] - output).max() / np.abs(output).max())
        assert difference < ENGINE_TOLERANCE, name
    assert capfd.readouterr() == ("", "")  # also of graphs with initialisers among their inputs


def test_the_choice_by_measurement_keeps_the_answers(tmp_path: Path, assets: Path) -> None:
    package = load_package(str(mobilenet_025_package(tmp_path, assets, kind="onnx")))
    preparer = build_preparer(package)
    images = labelled_images(assets, "imagenet")[:64]
    items = [preparer.prepare(path.read_bytes(), image_id=path.name) for path, _ in images]
    choice = choose_engine(package, items, device="cpu", batch_size=16)
    exact, *_ = (one for one in choice.table if str(one) == "openvino fp32")
    assert exact.flips_frac == 0
    assert exact.max_difference is not None
    assert exact.max_difference < 1e-4
    low = [one for one in choice.table if one.precision == "bf16"]
    assert len(low) == has_bf16()
    # bf16 changes several of 64 labels of this small network, so the guard never lets it be chosen.
    assert all(one.flips_frac > FLIP_TOLERANCE_FRAC for one in low)
    assert choice.precision == "fp32"
