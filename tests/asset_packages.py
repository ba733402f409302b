"""Model packages around the shared weights, written into a test's own folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

MOBILENET_INPUT = {
    "fit": "shortest_side_crop",
    "size_hw": [128, 128],
    "resize_px": 146,
    "long_side_rounding": "nearest",
    "crop_rounding": "floor",
    "scale": 127.5,
    "mean": [1.0],
    "std": [1.0],
}
MOBILENET_FILES = {
    "onnx": "mobilenet_v1_025_128.onnx",
    "torchscript": "mobilenet_v1_025_128.torchscript.pt",
    "pth": "mobilenet_v1_025_128.pth",
    "safetensors": "mobilenet_v1_025_128.safetensors",
}


def write_package(folder: Path, spec: dict[str, Any]) -> Path:
    """Write ``model.yaml`` and give the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder


def imagenet_labels(assets: Path) -> list[str]:
    """The 1,000 class names in output order; some names stand for two classes, so the id is part of them."""
    index = json.loads((assets / "classification" / "imagenet_class_index.json").read_text())
    return [f"{index[str(i)][0]} {index[str(i)][1]}" for i in range(1000)]


def mobilenet_package(folder: Path, assets: Path, *, kind: str = "onnx") -> Path:
    """MobileNetV1 0.25 at 128 pixels, from one of MOBILENET_FILES."""
    weights = assets / "models" / "classification" / MOBILENET_FILES[kind]
    spec: dict[str, Any] = {
        "name": f"mobilenet-{kind}",
        "task": "classification",
        "format": kind if kind in ("onnx", "torchscript") else "state_dict",
        "weights": str(weights),
        "classes": imagenet_labels(assets),
        "input": MOBILENET_INPUT,
    }
    if spec["format"] == "state_dict":
        description = assets / "models" / "classification" / "mobilenet_v1_025_128.arch.json"
        spec["architecture"] = {
            "import": "tests.mobilenet_v1:build_mobilenet",
            "options": {"description": str(description)},
        }
    return write_package(folder, spec)


def weights_facts(assets: Path, name: str, *, kind: str, architecture: dict[str, Any]) -> dict[str, Any]:
    """Format and weights of a segmentation model that is there as ``onnx`` and as the state dict ``pth``."""
    path = str(assets / "models" / "segmentation" / f"{name}.{kind}")
    if kind == "onnx":
        return {"format": "onnx", "weights": path}
    return {"format": "state_dict", "weights": path, "architecture": architecture}


def camvid_package(folder: Path, assets: Path, *, kind: str = "onnx") -> Path:
    """ESPNet on CamVid: BGR, 12 classes, sizes that are multiples of 8."""
    architecture = {"import": "tests.espnet:build_espnet", "options": {"num_classes": 12}}
    mean, std = (110.331, 108.409, 105.033), (72.126, 72.691, 69.904)
    spec = {
        "name": "espnet-camvid",
        "task": "segmentation",
        **weights_facts(assets, "espnet_p2_q8_camvid", kind=kind, architecture=architecture),
        "classes": (assets / "camvid" / "classes.txt").read_text().split(),
        "input": {
            "fit": "native",
            "multiple_px": 8,
            "color": "bgr",
            "scale": 1.0,
            "mean": list(mean),
            "std": [value * 255 for value in std],
        },
    }
    return write_package(folder, spec)


def retina_package(folder: Path, assets: Path, *, kind: str = "onnx") -> Path:
    """Retina vessels: gray, contrast filters, tiles with blended seams."""
    architecture = {"import": "tests.retina_unet:build_retina_unet"}
    spec = {
        "name": "retina-unet",
        "task": "segmentation",
        **weights_facts(assets, "retina_unet_drive", kind=kind, architecture=architecture),
        "classes": ["background", "vessel"],
        "input": {
            "fit": "tile",
            "size_hw": [256, 256],
            "resize_px": 543,  # images as wide as those of DRIVE, on which it was trained
            "overlap_px": 32,
            "resampler": "opencv",
            "pad_mode": "reflect",
            "color": "gray",
            "filters": ["stretch_minmax", {"clahe": {"clip_limit": 2.0, "grid": [8, 8]}}, {"gamma": 1.2}],
        },
    }
    return write_package(folder, spec)
