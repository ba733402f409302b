"""Packages around the shared detectors and the multi-label model, written into a test's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.asset_packages import write_package

FASTESTDET_INPUT = {"fit": "stretch", "size_hw": [352, 352], "color": "bgr"}


def coco_classes(assets: Path) -> list[str]:
    """The 80 class names in output order."""
    return (assets / "coco_val" / "classes80.txt").read_text().splitlines()


def fastestdet_package(folder: Path, assets: Path, **output: Any) -> Path:
    """FastestDet on COCO; ``output`` on top of its decoder."""
    spec = {
        "name": "fastestdet",
        "task": "detection",
        "format": "onnx",
        "weights": str(assets / "models" / "detection" / "fastestdet_coco_dyn.onnx"),
        "classes": coco_classes(assets),
        "input": FASTESTDET_INPUT,
        "output": {"decoder": {"name": "fastestdet"}, **output},
    }
    return write_package(folder, spec)


def ultraface_package(folder: Path, assets: Path, **fit: Any) -> Path:
    """UltraFace slim at 320: two outputs, the boxes decoded by the graph; ``fit`` on top of its input."""
    spec = {
        "name": "ultraface",
        "task": "detection",
        "format": "onnx",
        "weights": str(assets / "models" / "detection" / "ultraface_slim_320.onnx"),
        "classes": ["face"],
        "input": {"fit": "stretch", "size_hw": [240, 320], "scale": 128.0, "mean": [127 / 128], **fit},
        "output": {"decoder": {"name": "ssd", "boxes": "corners"}, "threshold": 0.7, "nms": {"iou_threshold": 0.3}},
    }
    return write_package(folder, spec)


def multilabel_package(folder: Path, assets: Path, **output: Any) -> Path:
    """FastestDet's best score of each of 80 classes over the whole image."""
    spec = {
        "name": "fastestdet-multilabel",
        "task": "multilabel",
        "format": "onnx",
        "weights": str(assets / "models" / "multilabel" / "fastestdet_multilabel80.onnx"),
        "classes": coco_classes(assets),
        "input": FASTESTDET_INPUT,
        "output": {"activation": "none", "top_k": 80, **output},
    }
    return write_package(folder, spec)
