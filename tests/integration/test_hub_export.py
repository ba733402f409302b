"""Models of timm and transformers leave their libraries: exported, they answer alike without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from inference_core.convert.export_package import build_export, write_export
from inference_core.models.package import load_package
from tests.asset_packages import write_package
from tests.drawn_images import draw_folder
from tests.hub_models import LABELS, build_timm, save_huggingface

CLASSES = list(LABELS.values())


def huggingface_package(folder: Path, kind: str, facts: dict[str, Any]) -> Path:
    save_huggingface(folder / "saved", kind)
    return write_package(folder, {"name": kind, "format": "huggingface", "weights": "saved", **facts})


def timm_package(folder: Path, name: str, **options: Any) -> Path:
    folder.mkdir()
    save_file(build_timm(name, **options).state_dict(), folder / "saved.safetensors")
    facts = {
        "name": name,
        "task": "classification",
        "format": "timm",
        "weights": "saved.safetensors",
        "architecture": {"name": name, "options": options},
        "classes": CLASSES,
        "input": {"fit": "stretch", "size_hw": [64, 64]},
    }
    return write_package(folder, facts)


def exported(source: Path, folder: Path, target: str) -> None:
    images = str(draw_folder(folder / "images", 3, image_hw=(60, 90)))
    out = str(folder / "new")
    built = build_export(load_package(str(source)), target=target, out=out, images=[images])
    differences = [row.difference for row in built.comparison.after]
    assert all(difference is not None and difference < 1e-4 for difference in differences)
    assert write_export(built, out).spec.output == load_package(str(source)).spec.output


@pytest.mark.parametrize("target", ["onnx", "torchscript", "torch_export"])
@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        pytest.param(
            "detr",
            {
                "task": "detection",
                "classes": CLASSES,
                "input": {"fit": "stretch", "size_hw": [64, 64]},
                "output": {"decoder": {"name": "detr"}, "nms": {"method": "none"}},
            },
            id="detr",
        ),
        pytest.param(
            "dinov2",
            {
                "task": "embedding",
                "input": {"fit": "stretch", "size_hw": [56, 56]},
                "output": {"name": "pooler_output"},
            },
            id="dinov2",
        ),
    ],
)
def test_huggingface(tmp_path: Path, kind: str, facts: dict[str, Any], target: str) -> None:
    exported(huggingface_package(tmp_path / "source", kind, facts), tmp_path, target)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "convnext_atto"])
def test_timm(tmp_path: Path, name: str) -> None:
    exported(timm_package(tmp_path / "source", name, num_classes=len(CLASSES)), tmp_path, "onnx")
