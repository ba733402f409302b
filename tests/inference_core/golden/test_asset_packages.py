"""Real models of every task: sealed and replayed through all engines that are here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inference_core.golden.pick import pick_images
from inference_core.golden.read import load_golden
from inference_core.golden.seal import golden_uri, seal
from inference_core.golden.verify import verify_engines
from inference_core.models.package import load_package
from inference_core.storage import list_objects
from tests.asset_packages import camvid_package, mobilenet_package, retina_package
from tests.detection_packages import fastestdet_package, multilabel_package
from tests.format_packages import mobilenet_025_package

pytestmark = pytest.mark.assets

Build = Callable[[Path, Path], Path]

CASES: dict[str, tuple[Build, str, tuple[str, ...]]] = {
    "classifier-onnx": (mobilenet_package, "classification/imagenet", ("onnxruntime fp32", "openvino fp32")),
    "classifier-torchscript": (
        lambda folder, assets: mobilenet_package(folder, assets, kind="torchscript"),
        "classification/imagenet",
        ("torch fp32",),
    ),
    "classifier-quantised": (
        lambda folder, assets: mobilenet_025_package(folder, assets, kind="tflite"),
        "classification/imagenet",
        ("litert int8",),
    ),
    "segmenter": (camvid_package, "camvid/images", ("onnxruntime fp32", "openvino fp32")),
    "segmenter-of-tiles": (retina_package, "retina", ("onnxruntime fp32", "openvino fp32")),
    "detector": (fastestdet_package, "coco_val", ("onnxruntime fp32", "openvino fp32")),
    "multilabel": (multilabel_package, "coco_val", ("onnxruntime fp32", "openvino fp32")),
}


@pytest.mark.parametrize(("build", "images", "engines"), CASES.values(), ids=CASES)
def test_every_engine_that_runs_a_model_keeps_its_contract(
    tmp_path: Path, assets: Path, build: Build, images: str, engines: tuple[str, ...]
) -> None:
    for module in ("onnxruntime", "openvino", "ai_edge_litert"):
        pytest.importorskip(module)
    package = load_package(str(build(tmp_path / "package", assets)))
    seal(package, pick_images(package, [str(assets / images)], count=2))
    found = verify_engines(package, load_golden(package), precisions=["fp32"], device="cpu")
    ran = [one for one in found if not one.refusal]
    assert tuple(str(one) for one in ran) == engines
    for one in ran:
        assert one.passed, one.faults
        assert one.prepared_frac == 0
        assert one.outputs_largest is not None
    assert ran[0].outputs_largest == 0  # the engine that sealed, integers and all, gives the same bits again
    assert sum(file.size_bytes for file in list_objects(golden_uri(package))) < 4_000_000
