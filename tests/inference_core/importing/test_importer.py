"""Imports of the real models: what is missing, and that the right facts give the packages that were written by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import ConfigError, ModelError
from inference_core.importing.findings import MissingFactsError
from inference_core.importing.importer import import_model, open_model
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from tests.asset_packages import MOBILENET_INPUT, camvid_package, imagenet_labels, mobilenet_package, retina_package
from tests.detection_packages import coco_classes, fastestdet_package, multilabel_package, ultraface_package
from tests.format_packages import CIFAR10, VOC, deeplab_package, mobilenet_025_package, resnet8_package
from tests.onnx_graphs import channel_means
from tests.tiny_models import tiny_classifier

PIXELS = ["input.scale", "input.mean", "input.std"]
BARE = ["input.fit", *PIXELS, "classes"]
"""What no graph tells."""

GAPS: dict[str, list[str]] = {
    "classification/mobilenet_v1_025_128.onnx": BARE,
    "classification/mobilenet_v1_025_128.keras": BARE,
    "classification/mobilenet_v1_025_128.savedmodel": BARE,
    "classification/mobilenet_v1_025_128.pt2": BARE,
    "classification/mobilenet_v1_025_128.torchscript.pt": ["input.fit", "input.size_hw", *PIXELS, "classes"],
    "classification/mobilenet_v1_025_128.pth": [
        "input.fit", "input.size_hw", *PIXELS, "architecture", "task", "classes",
    ],
    "classification/mobilenet_v1_025_128.safetensors": [
        "input.fit", "input.size_hw", *PIXELS, "architecture", "task", "classes",
    ],
    "classification/mobilenet_v1_0.25_128_quant.tflite": ["input.fit"],
    "classification/resnet8_cifar10.h5": BARE,
    "classification/resnet8_cifar10.tflite": BARE,
    "classification/resnet8_cifar10.onnx": BARE,
    "segmentation/deeplabv3_mnv2_dm05_pascal.onnx": BARE,
    "segmentation/deeplabv3_mnv2_dm05_pascal_quant.tflite": ["input.fit", "classes"],
    "segmentation/espnet_p2_q8_camvid.onnx": ["input.fit", "input.size_hw", *PIXELS, "classes"],
    "segmentation/retina_unet_drive.onnx": ["input.fit", "input.size_hw", *PIXELS, "classes"],
    "detection/fastestdet_coco_dyn.onnx": BARE,
    "detection/ultraface_slim_320.onnx": BARE,
    "multilabel/fastestdet_multilabel80.onnx": BARE,
}  # fmt: skip

MOBILENET_SAID = {
    key: value for key, value in MOBILENET_INPUT.items() if key not in ("size_hw", "scale", "mean", "std")
}
FASTESTDET_SAID = {"input.fit": "stretch", "input.color": "bgr", "preset": "unit"}

Case = tuple[str, Callable[[Path, Path], Path], Callable[[Path], dict[str, Any]]]
HAND_WRITTEN: dict[str, Case] = {
    **{
        f"mobilenet-{kind}": (
            f"classification/mobilenet_v1_025_128.{ending}",
            lambda folder, assets, kind=kind: mobilenet_025_package(folder, assets, kind=kind),
            lambda assets: {"preset": "inception", "input": MOBILENET_SAID, "classes": imagenet_labels(assets)},
        )
        for kind, ending in {
            "onnx": "onnx",
            "torch_export": "pt2",
            "keras": "keras",
            "savedmodel": "savedmodel",
        }.items()
    },
    "mobilenet-tflite": (
        "classification/mobilenet_v1_0.25_128_quant.tflite",
        lambda folder, assets: mobilenet_025_package(folder, assets, kind="tflite"),
        lambda assets: {"input": MOBILENET_SAID, "classes": imagenet_labels(assets)},
    ),
    "mobilenet-torchscript": (
        "classification/mobilenet_v1_025_128.torchscript.pt",
        lambda folder, assets: mobilenet_package(folder, assets, kind="torchscript"),
        lambda assets: {"input": MOBILENET_INPUT, "classes": imagenet_labels(assets)},
    ),
    "mobilenet-state-dict": (
        "classification/mobilenet_v1_025_128.pth",
        lambda folder, assets: mobilenet_package(folder, assets, kind="pth"),
        lambda assets: {
            "input": MOBILENET_INPUT,
            "classes": imagenet_labels(assets),
            "architecture": {
                "import": "tests.mobilenet_v1:build_mobilenet",
                "options": {
                    "description": str(assets / "models" / "classification" / "mobilenet_v1_025_128.arch.json")
                },
            },
        },
    ),
    **{
        f"resnet8-{kind}": (
            f"classification/resnet8_cifar10.{ending}",
            lambda folder, assets, kind=kind: resnet8_package(folder, assets, kind=kind),
            lambda _: {"preset": "raw_255", "input.fit": "stretch", "classes": CIFAR10},
        )
        for kind, ending in {"keras": "h5", "tflite": "tflite", "onnx": "onnx"}.items()
    },
    "deeplab-onnx": (
        "segmentation/deeplabv3_mnv2_dm05_pascal.onnx",
        lambda folder, assets: deeplab_package(folder, assets, kind="onnx"),
        lambda _: {"preset": "minus_one_to_one", "input.fit": "stretch", "classes": VOC},
    ),
    "deeplab-tflite": (
        "segmentation/deeplabv3_mnv2_dm05_pascal_quant.tflite",
        lambda folder, assets: deeplab_package(folder, assets, kind="tflite"),
        lambda _: {"input.fit": "stretch", "classes": VOC},
    ),
    "camvid": (
        "segmentation/espnet_p2_q8_camvid.onnx",
        camvid_package,
        lambda assets: {
            "classes": (assets / "camvid" / "classes.txt").read_text().split(),
            "input": {
                "fit": "native",
                "multiple_px": 8,
                "color": "bgr",
                "scale": 1.0,
                "mean": [110.331, 108.409, 105.033],
                "std": [value * 255 for value in (72.126, 72.691, 69.904)],
            },
        },
    ),
    "retina": (
        "segmentation/retina_unet_drive.onnx",
        retina_package,
        lambda _: {
            "preset": "unit",
            "classes": ["background", "vessel"],
            "input": {
                "fit": "tile",
                "size_hw": [256, 256],
                "resize_px": 543,
                "overlap_px": 32,
                "resampler": "opencv",
                "pad_mode": "reflect",
                "filters": ["stretch_minmax", {"clahe": {"clip_limit": 2.0, "grid": [8, 8]}}, {"gamma": 1.2}],
            },
        },
    ),
    "fastestdet": (
        "detection/fastestdet_coco_dyn.onnx",
        fastestdet_package,
        lambda assets: {**FASTESTDET_SAID, "classes": str(assets / "coco_val" / "classes80.txt")},
    ),
    "multilabel": (
        "multilabel/fastestdet_multilabel80.onnx",
        multilabel_package,
        lambda assets: {**FASTESTDET_SAID, "classes": coco_classes(assets), "output.top_k": 80},
    ),
    "ultraface": (
        "detection/ultraface_slim_320.onnx",
        ultraface_package,
        lambda _: {
            "classes": ["face"],
            "input": {"fit": "stretch", "scale": 128.0, "mean": [127 / 128], "std": [1.0]},
            "output": {"threshold": 0.7, "nms": {"iou_threshold": 0.3}},
        },
    ),
}


@pytest.mark.assets
@pytest.mark.parametrize(("source", "missing"), GAPS.items(), ids=GAPS.keys())
def test_only_what_no_file_tells_is_asked(source: str, missing: list[str], assets: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFactsError) as refused:
        import_model(str(assets / "models" / source), out=str(tmp_path / "out"), said={})
    assert [gap.key for gap in refused.value.findings.missing] == missing
    assert all(
        gap.key in str(refused.value) and gap.reason in str(refused.value) for gap in refused.value.findings.missing
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.assets
@pytest.mark.parametrize(("source", "write", "said"), HAND_WRITTEN.values(), ids=HAND_WRITTEN.keys())
def test_the_right_facts_give_the_package_that_was_written_by_hand(
    source: str,
    write: Callable[[Path, Path], Path],
    said: Callable[[Path], dict[str, Any]],
    assets: Path,
    tmp_path: Path,
) -> None:
    by_hand = load_package(str(write(tmp_path / "by-hand", assets)))
    imported = import_model(str(assets / "models" / source), out=str(tmp_path / "out"), said=said(assets))
    assert imported.package.spec.model_dump(exclude={"name", "weights"}) == by_hand.spec.model_dump(
        exclude={"name", "weights"}
    )
    assert imported.package.digest == by_hand.digest  # which every bit of every prediction hangs on
    assert imported.findings.missing == ()


@pytest.mark.assets
def test_an_imported_package_predicts_as_the_one_that_was_written_by_hand(assets: Path, tmp_path: Path) -> None:
    said = {"preset": "inception", "input": MOBILENET_SAID, "classes": imagenet_labels(assets)}
    source = assets / "models" / "classification" / "mobilenet_v1_025_128.onnx"
    imported = import_model(str(source), out=str(tmp_path / "out"), said=said)
    photographs = [str(path) for path in sorted((assets / "classification" / "imagenet").glob("*.JPEG"))[:4]]
    models = [load_package(str(mobilenet_package(tmp_path / "by-hand", assets))), imported.package]
    answers = [
        [prediction.result for prediction in Predictor.load(model, num_threads=1).predict_batch(photographs)]
        for model in models
    ]
    assert [str(result) for result in answers[0]] == [str(result) for result in answers[1]]
    assert answers[0][0] is not None


@pytest.mark.assets
def test_a_label_file_of_the_wrong_length_is_refused_before_anything_is_written(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "nine.txt").write_text("\n".join(CIFAR10[:9]))
    source = str(assets / "models" / "classification" / "resnet8_cifar10.onnx")
    said = {"preset": "raw_255", "input.fit": "stretch", "classes": str(tmp_path / "nine.txt")}
    with pytest.raises(ConfigError, match=r"^classes: must have one name for each of the model's 10 classes, got 9"):
        import_model(source, out=str(tmp_path / "out"), said=said)
    assert not (tmp_path / "out").exists()


WHOLE = {"preset": "inception", "input.fit": "stretch", "input.size_hw": [8, 8], "classes": ["red", "green", "blue"]}


def graph_file(folder: Path) -> str:
    """Three scores for images of any size."""
    path = folder / "means.onnx"
    path.write_bytes(channel_means())
    return str(path)


def test_one_missing_fact_is_one_line(tmp_path: Path) -> None:
    source = graph_file(tmp_path)
    said = {key: value for key, value in WHOLE.items() if key != "input.fit"}
    with pytest.raises(MissingFactsError) as refused:
        import_model(source, out=str(tmp_path / "out"), said=said)
    assert str(refused.value) == (
        f"{source} does not tell 1 fact that a model package needs; say it:\n"
        "  input.fit: how images got the input's size in training: letterbox, stretch, shortest_side_crop, tile or "
        "native; e.g. --set input.fit=stretch"
    )


def test_a_package_is_written_with_a_copy_of_the_weights(tmp_path: Path) -> None:
    source = graph_file(tmp_path)
    imported = import_model(source, out=str(tmp_path / "out"), said=WHOLE)
    Path(source).unlink()
    package = load_package(str(tmp_path / "out"))
    assert package.digest == imported.package.digest
    assert (package.spec.name, package.spec.weights, package.spec.task) == ("means", "means.onnx", "classification")
    assert package.spec.input.size_hw == (8, 8)


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        pytest.param({"preset": "imagnet"}, ConfigError, r"^preset: must be one of imagenet, .*'imagnet'", id="preset"),
        pytest.param({"input.fti": "x"}, ConfigError, r"input.fti: is not a known key; did you mean 'fit'", id="key"),
        pytest.param({"input.fit": "crop"}, ConfigError, r"input.fit: ", id="value"),
        pytest.param({"input.color": "gray"}, ModelError, r"the graph takes 3 along C", id="channels"),
        pytest.param({"task": "segmentation"}, ModelError, r"must give .*\(B, K, h, w\)|segmentation", id="task"),
        pytest.param({"classes": "/absent.txt"}, ConfigError, r"^classes: must name an existing file", id="no-file"),
        pytest.param({"architecture": "unet"}, ConfigError, r"architecture must be absent", id="architecture"),
    ],
)
def test_a_wrong_fact_is_told_before_anything_is_written(
    said: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        import_model(graph_file(tmp_path), out=str(tmp_path / "out"), said={**WHOLE, **said})
    assert not (tmp_path / "out").exists()


def test_a_folder_with_files_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--out: must be an empty or new folder"):
        import_model(graph_file(tmp_path), out=str(tmp_path), said=WHOLE)


def test_a_package_is_one_already(tmp_path: Path) -> None:
    package = tiny_classifier(tmp_path / "package")
    with pytest.raises(ConfigError, match=r"source must be no package yet, got .*model\.yaml; use it as it is"):
        import_model(str(package), out=str(tmp_path / "out"), said={})


def test_a_model_is_imported_for_as_long_as_it_is_used(tmp_path: Path) -> None:
    with open_model(graph_file(tmp_path), said=WHOLE) as (package, findings):
        folder = Path(package.uri.removeprefix("file://"))
        assert (folder / "model.yaml").is_file()
        assert findings is not None
        assert Predictor.load(package, num_threads=1) is not None
    assert not folder.exists()


def test_a_package_is_opened_as_it_is(tmp_path: Path) -> None:
    package = tiny_classifier(tmp_path / "package")
    with open_model(str(package), said={}) as (opened, findings):
        assert (opened.digest, findings) == (load_package(str(package)).digest, None)


def test_facts_of_a_package_are_refused(tmp_path: Path) -> None:
    package = tiny_classifier(tmp_path / "package")
    with (
        pytest.raises(ConfigError, match=r"^model_facts: must be absent with a model package, .* got input\.fit"),
        open_model(str(package), said={"input.fit": "stretch"}, flag="--set model_facts."),
    ):
        pass


@pytest.mark.integration
def test_from_s3_to_s3(s3_bucket: str, tmp_path: Path) -> None:
    from inference_core import storage

    source = f"{s3_bucket}/import/graphs/means.onnx"
    storage.replace(source, Path(graph_file(tmp_path)).read_bytes())
    imported = import_model(source, out=f"{s3_bucket}/import/package", said=WHOLE)
    assert load_package(f"{s3_bucket}/import/package").digest == imported.package.digest


def test_a_wrapped_folder_of_weights_is_copied_whole(assets: Path, tmp_path: Path) -> None:
    source = tmp_path / "saved"
    shutil.copytree(assets / "models" / "classification" / "mobilenet_v1_025_128.savedmodel", source)
    said = {"preset": "inception", "input": MOBILENET_SAID, "classes": imagenet_labels(assets)}
    imported = import_model(str(source), out=str(tmp_path / "out"), said=said)
    shutil.rmtree(source)
    assert load_package(str(tmp_path / "out")).digest == imported.package.digest
