"""Model packages around the shared weights in every format, written into a test's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.asset_packages import MOBILENET_INPUT, imagenet_labels, write_package

MOBILENET_025: dict[str, dict[str, Any]] = {
    "onnx": {"format": "onnx", "weights": "mobilenet_v1_025_128.onnx"},
    "torch_export": {"format": "torch_export", "weights": "mobilenet_v1_025_128.pt2"},
    "keras": {"format": "keras", "weights": "mobilenet_v1_025_128.keras", "input": {"layout": "BHWC"}},
    "savedmodel": {"format": "savedmodel", "weights": "mobilenet_v1_025_128.savedmodel", "input": {"layout": "BHWC"}},
    "tflite": {
        "format": "tflite",
        "weights": "mobilenet_v1_0.25_128_quant.tflite",
        # The graph's uint8 input has scale 1/128 and zero point 128: this is the pixel itself.
        "input": {"layout": "BHWC", "scale": 128.0},
        "output": {"activation": "none", "skip_classes": 1},
    },
}
"""What differs between the files of MobileNetV1 0.25 at 128 pixels."""

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

RESNET8_FORMATS = {"keras": "h5", "tflite": "tflite", "onnx": "onnx"}

VOC = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]


def mobilenet_025_package(folder: Path, assets: Path, *, kind: str) -> Path:
    """MobileNetV1 0.25 at 128 pixels: one of MOBILENET_025."""
    facts = MOBILENET_025[kind]
    return write_package(
        folder,
        {
            "name": f"mobilenet-{kind}",
            "task": "classification",
            **facts,
            "weights": str(assets / "models" / "classification" / facts["weights"]),
            "classes": imagenet_labels(assets),
            "input": {**MOBILENET_INPUT, **facts.get("input", {})},
        },
    )


def mobilenet_050_package(folder: Path, assets: Path) -> Path:
    """MobileNetV1 0.5 at 160 pixels."""
    return write_package(
        folder,
        {
            "name": "mobilenet-050",
            "task": "classification",
            "format": "onnx",
            "weights": str(assets / "models" / "classification" / "mobilenet_v1_050_160.onnx"),
            "classes": imagenet_labels(assets),
            "input": {**MOBILENET_INPUT, "size_hw": [160, 160], "resize_px": 183},
        },
    )


def resnet8_package(folder: Path, assets: Path, *, kind: str) -> Path:
    """ResNet-8 on CIFAR-10: one of RESNET8_FORMATS."""
    return write_package(
        folder,
        {
            "name": f"resnet8-{kind}",
            "task": "classification",
            "format": kind,
            "weights": str(assets / "models" / "classification" / f"resnet8_cifar10.{RESNET8_FORMATS[kind]}"),
            "classes": CIFAR10,
            "input": {
                "fit": "stretch",
                "size_hw": [32, 32],
                "scale": 1.0,
                "layout": "BCHW" if kind == "onnx" else "BHWC",
            },
            "output": {"activation": "none"},
        },
    )


def deeplab_package(folder: Path, assets: Path, *, kind: str) -> Path:
    """DeepLabv3 with 21 classes: the float ``onnx``, or the quantised ``tflite``, which gives class ids."""
    is_tflite = kind == "tflite"
    name = f"deeplabv3_mnv2_dm05_pascal{'_quant.tflite' if is_tflite else '.onnx'}"
    return write_package(
        folder,
        {
            "name": f"deeplab-{kind}",
            "task": "segmentation",
            "format": kind,
            "weights": str(assets / "models" / "segmentation" / name),
            "classes": VOC,
            "input": {
                "fit": "stretch",
                "size_hw": [513, 513],
                "scale": 128.0 if is_tflite else 127.5,
                "mean": [1.0],
                "layout": "BHWC" if is_tflite else "BCHW",
            },
        },
    )
