from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from inference_core.convert.export_package import TARGETS, build_export, check_target, write_export
from inference_core.engines.table import installed_engines
from inference_core.errors import ConfigError, MillraceError, ModelError
from inference_core.golden.read import GoldenImage, read_golden
from inference_core.golden.seal import seal
from inference_core.golden.verify import verify_engines
from inference_core.models.package import ModelPackage, load_package
from inference_core.models.weights import IR_NAMES
from inference_core.predictor import Predictor
from inference_core.results import Classification, Detection, Segmentation
from tests.asset_packages import camvid_package, mobilenet_package
from tests.detection_packages import fastestdet_package
from tests.drawn_images import draw_folder, png_bytes
from tests.exportable_nets import SIDE_PX, detector_package, net_package
from tests.format_packages import mobilenet_025_package
from tests.specs import package_of

CELLS = Path(__file__).resolve().parents[3] / "examples" / "cells" / "package"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), 6)


def export(package: Path, target: str, out: Path, images: Path, **options: Any) -> ModelPackage:
    built = build_export(load_package(str(package)), target=target, out=str(out), images=[str(images)], **options)
    return write_export(built, str(out))


def engines_of(package: ModelPackage) -> tuple[str, ...]:
    return installed_engines(package.spec.format, device="cpu")


@pytest.mark.assets
@pytest.mark.parametrize("target", TARGETS)
def test_mobilenet_in_every_format_gives_the_expected_logits(assets: Path, tmp_path: Path, target: str) -> None:
    from tests.integration.reference_table import labelled_images
    from tests.integration.test_reference_formats import raw_outputs

    photographs = assets / "classification" / "imagenet"
    package = export(mobilenet_package(tmp_path / "source", assets, kind="pth"), target, tmp_path / "new", photographs)
    paths = [path for path, _ in labelled_images(assets, "imagenet")]
    expected = np.load(assets / "expected" / "mobilenet_v1_025_128.logits.npy")
    for engine in engines_of(package):
        found = raw_outputs(tmp_path / "new", paths, engine=engine)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("target", TARGETS)
def test_the_cells_unet_gives_equal_masks_for_images_of_other_sizes(tmp_path: Path, target: str) -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (*hw, 3), dtype=np.uint8) for hw in [(64, 80), (33, 121), (8, 8)]]
    folder = draw_folder(tmp_path / "images", 2, image_hw=(48, 90))
    draw_folder(tmp_path / "images" / "larger", 1, image_hw=(100, 64))
    package = export(CELLS, target, tmp_path / "new", folder)
    expected = Predictor.load(str(CELLS), device="cpu", precision="fp32").predict_batch(pictures)
    for engine in engines_of(package):
        found = Predictor.load(package, device="cpu", precision="fp32", engine=engine).predict_batch(pictures)
        for one, other in zip(expected, found, strict=True):
            assert isinstance(one.result, Segmentation)
            assert isinstance(other.result, Segmentation)
            assert np.mean(one.result.mask != other.result.mask) <= 1e-3


@pytest.mark.parametrize("by_name", [False, True], ids=["tuple", "mapping"])
@pytest.mark.parametrize("target", TARGETS)
def test_detectors_keep_the_names_of_their_outputs(tmp_path: Path, images: Path, target: str, by_name: bool) -> None:
    source = detector_package(tmp_path / "source", by_name=by_name)
    package = export(source, target, tmp_path / "new", images)
    original = load_package(str(source)).spec
    assert package.spec.output == original.output
    expected = list(Predictor.load(str(source), device="cpu", precision="fp32").predict_directory(images))
    for engine in engines_of(package):
        found = Predictor.load(package, device="cpu", precision="fp32", engine=engine).predict_directory(images)
        for one, other in zip(expected, found, strict=True):
            assert isinstance(one.result, Detection)
            assert isinstance(other.result, Detection)
            assert len(one.result.boxes_xyxy) > 0
            np.testing.assert_allclose(other.result.boxes_xyxy, one.result.boxes_xyxy, atol=1e-3)


@pytest.mark.assets
def test_keras_to_onnx(assets: Path, tmp_path: Path) -> None:
    source = mobilenet_025_package(tmp_path / "source", assets, kind="keras")
    package = export(source, "onnx", tmp_path / "new", assets / "classification" / "imagenet")
    assert package.spec.input.layout == "BHWC"
    assert package.spec.architecture is None


@pytest.mark.assets
@pytest.mark.parametrize(
    ("build", "photographs"),
    [
        pytest.param(fastestdet_package, "coco_val/images", id="fastestdet"),
        pytest.param(camvid_package, "camvid/images", id="camvid"),
        pytest.param(
            lambda folder, assets: mobilenet_025_package(folder, assets, kind="savedmodel"),
            "classification/imagenet",
            id="savedmodel",
        ),
    ],
)
def test_stored_graphs_to_openvino(assets: Path, tmp_path: Path, build: Any, photographs: str) -> None:
    package = export(build(tmp_path / "source", assets), "openvino", tmp_path / "new", assets / photographs)
    assert set(package.weights.files) == set(IR_NAMES.values())


@pytest.mark.assets
def test_a_quantised_tflite_graph_is_refused(assets: Path, tmp_path: Path, images: Path) -> None:
    source = mobilenet_025_package(tmp_path / "source", assets, kind="tflite")
    with pytest.raises(ModelError, match="must take and give floating-point values with engine openvino"):
        export(source, "openvino", tmp_path / "new", images)


def test_the_new_package_says_the_same_of_other_weights(tmp_path: Path, images: Path) -> None:
    facts = {"calibration": {"temperature": 2.0}, "output": {"top_k": 2}}
    source = net_package(tmp_path / "source", "plain", spec=facts)
    package = export(source, "onnx", tmp_path / "new", images)
    written = yaml.safe_load((tmp_path / "new" / "model.yaml").read_text())
    assert written == {
        "name": "net-plain",
        "task": "classification",
        "format": "onnx",
        "weights": "model.onnx",
        "weights_sha256": package.weights.sha256,
        "classes": ["red", "green", "blue"],
        "input": {"fit": "stretch", "size_hw": [SIDE_PX, SIDE_PX]},
        "output": {"top_k": 2},
        "calibration": {"temperature": 2.0},
    }
    assert package.digest != load_package(str(source)).digest


def test_what_is_proven_is_what_is_written(tmp_path: Path, images: Path) -> None:
    built = build_export(load_package(str(CELLS)), target="openvino", out=str(tmp_path / "new"), images=[str(images)])
    assert not (tmp_path / "new").exists()
    assert write_export(built, str(tmp_path / "new")).digest == built.package.digest


def test_golden_images_go_along_and_prove_the_export_against_the_original(tmp_path: Path) -> None:
    source = net_package(tmp_path / "source", "plain")
    seal(load_package(str(source)), [GoldenImage(name=f"{i}.png", data=png_bytes(i)) for i in range(2)])
    built = build_export(load_package(str(source)), target="onnx", out=str(tmp_path / "new"))
    package = write_export(built, str(tmp_path / "new"))
    assert package.digest == built.package.digest
    golden, original = read_golden(package), read_golden(load_package(str(source)))
    assert golden is not None
    assert original is not None
    assert golden.record.arrays_sha256 == original.record.arrays_sha256
    assert golden.record.engine == "torch"
    assert all(one.passed for one in verify_engines(package, golden, engines=engines_of(package)))


def test_half_precision_is_smaller_and_judged_by_answers(tmp_path: Path, images: Path) -> None:
    source = net_package(tmp_path / "source", "plain", width=64)
    seal(load_package(str(source)), [GoldenImage(name="0.png", data=png_bytes(0))])
    sizes = {}
    for half in (False, True):
        for target in ("onnx", "openvino"):
            package = export(source, target, tmp_path / f"{target}-{half}", images, half=half)
            sizes[target, half] = package.weights.num_bytes
            assert (read_golden(package) is None) == half
    assert sizes["onnx", True] < sizes["onnx", False]
    assert sizes["openvino", True] < sizes["openvino", False]


def test_half_precision_that_overflows_is_refused(tmp_path: Path, images: Path) -> None:
    source = net_package(tmp_path / "source", "plain", gain=1000.0)
    with pytest.raises(ModelError, match="an image that the original answers gets inf or nan"):
        export(source, "onnx", tmp_path / "new", images, half=True)
    assert not (tmp_path / "new").exists()
    assert export(source, "onnx", tmp_path / "new", images).weights.num_bytes > 0


@pytest.mark.parametrize(
    ("kind", "target", "error", "message"),
    [
        pytest.param("drawing", "onnx", ModelError, "must answer as the original does on 6 images, got", id="chance"),
        pytest.param("drawing", "torch_export", ModelError, "nothing was written: try", id="chance, pt2"),
        pytest.param("drawing", "torchscript", ModelError, "must answer 3 images as the model", id="chance, traced"),
        pytest.param("branching", "onnx", ModelError, "its code branches on their values", id="a branch"),
        pytest.param("branching", "torch_export", ModelError, "its code branches on their values", id="a branch, pt2"),
        pytest.param("looping", "openvino", ModelError, "must leave batch free", id="a loop"),
    ],
)
def test_what_fails_leaves_nothing_behind(
    tmp_path: Path, images: Path, kind: str, target: str, error: type[MillraceError], message: str
) -> None:
    source = net_package(tmp_path / "source", kind)
    with pytest.raises(error, match=message):
        export(source, target, tmp_path / "new", images)
    assert not (tmp_path / "new").exists()


def test_a_fixed_batch_is_run_as_such(tmp_path: Path, images: Path) -> None:
    source = net_package(tmp_path / "source", "looping")
    package = export(source, "onnx", tmp_path / "new", images, batch=4)
    predictor = Predictor.load(package, device="cpu", precision="fp32", engine="onnxruntime")
    assert predictor._runner.engine_facts.max_batch == 4
    found = list(predictor.predict_directory(images))
    expected = Predictor.load(str(source), device="cpu", precision="fp32").predict_directory(images)
    for one, other in zip(expected, found, strict=True):
        assert isinstance(one.result, Classification)
        assert isinstance(other.result, Classification)
        np.testing.assert_allclose(other.result.scores, one.result.scores, atol=1e-5)


def test_a_batch_that_the_program_fixes_stays(tmp_path: Path, images: Path) -> None:
    source = net_package(tmp_path / "source", "looping")
    export(source, "torch_export", tmp_path / "fixed", images, batch=2)
    package = export(tmp_path / "fixed", "onnx", tmp_path / "new", images)
    assert Predictor.load(package, engine="onnxruntime")._runner.engine_facts.max_batch == 2
    with pytest.raises(ConfigError, match=r"--batch: must be 2, which the model fixes, got 3"):
        export(tmp_path / "fixed", "onnx", tmp_path / "other", images, batch=3)


def test_the_folder_must_be_free(tmp_path: Path, images: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="--out: must be an empty or new folder"):
        export(net_package(tmp_path / "source", "plain"), "onnx", tmp_path / "new", images)


NOTHING: dict[str, Any] = {"half": False, "batch": None, "opset": None}


@pytest.mark.parametrize(
    ("source", "target", "options", "message"),
    [
        pytest.param(
            "state_dict", "gguf", {}, "--format: must be one of onnx, torchscript, .* got 'gguf'", id="unknown"
        ),
        pytest.param("state_dict", "tensorrt", {}, "tied to one GPU.*set execution.engine: tensorrt", id="tensorrt"),
        pytest.param("torchscript", "torchscript", {}, "must be one of onnx, torch_export, openvino from", id="itself"),
        pytest.param("onnx", "torchscript", {}, "must be one of openvino from a package of format onnx", id="onnx"),
        pytest.param("openvino", "onnx", {}, "must be absent: nothing is made from a package of", id="openvino"),
        pytest.param("state_dict", "torchscript", {"half": True}, "--half: must go with onnx or openvino", id="half"),
        pytest.param("onnx", "openvino", {"batch": 2}, "--batch: must be dynamic, or at least 1", id="a graph's batch"),
        pytest.param("state_dict", "onnx", {"batch": 0}, "--batch: must be dynamic, or at least 1", id="no batch"),
        pytest.param("onnx", "openvino", {"opset": 17}, "--opset: must go with an ONNX graph that is made", id="opset"),
        pytest.param(
            "state_dict", "torch_export", {"opset": 17}, "--opset: must go with an ONNX graph", id="opset, pt2"
        ),
    ],
)
def test_settings_that_do_not_go_together(
    tmp_path: Path, source: str, target: str, options: dict[str, Any], message: str
) -> None:
    architecture = {"import": "tests.exportable_nets:build_net"} if source == "state_dict" else None
    package = package_of(b"", {"format": source, "architecture": architecture})
    with pytest.raises(ConfigError, match=message):
        check_target(package, target, **{**NOTHING, **options})


@pytest.mark.parametrize(
    ("source", "targets"), [("keras", TARGETS), ("tflite", ("openvino",)), ("savedmodel", ("openvino",))]
)
def test_settings_that_do(source: str, targets: tuple[str, ...]) -> None:
    for target in targets:
        assert check_target(package_of(b"", {"format": source}), target, **NOTHING) == target
