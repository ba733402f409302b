"""The two models that are served: packages for Millrace, the same ONNX files for its peers, and images for both."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("mobilenet", "unet")
NUM_DRAWN = 40
DRAWN_SEED = 11


@dataclass(frozen=True, kw_only=True)
class ServedTask:
    """One model and images for it."""

    name: str
    kind: str
    """``classification`` or ``segmentation``."""
    package: Path
    onnx: Path
    classes: Path
    """A JSON list."""
    images: Path
    """A folder."""


def prepare_task(name: str, folder: Path, assets: Path) -> ServedTask:
    """Write what a task needs into a folder.

    Args:
        name: of TASKS.
        folder: for files that are made.
        assets: the shared photographs and weights.
    """
    return prepare_mobilenet(folder, assets) if name == "mobilenet" else prepare_unet(folder)


def prepare_mobilenet(folder: Path, assets: Path) -> ServedTask:
    """MobileNetV1 0.25 at 128 pixels and 100 photographs."""
    sys.path.insert(0, str(ROOT))  # the packages of these weights are described beside the tests
    from tests.asset_packages import MOBILENET_FILES, imagenet_labels, mobilenet_package

    (folder / "classes.json").write_text(json.dumps(imagenet_labels(assets)))
    return ServedTask(
        name="mobilenet",
        kind="classification",
        package=mobilenet_package(folder / "mobilenet", assets),
        onnx=assets / "models" / "classification" / MOBILENET_FILES["onnx"],
        classes=folder / "classes.json",
        images=assets / "classification" / "imagenet",
    )


def prepare_unet(folder: Path) -> ServedTask:
    """The U-Net of ``examples/cells`` as ONNX, and cells that are drawn."""
    drawn, package = folder / "cells", folder / "unet"
    generate = [sys.executable, str(ROOT / "examples" / "cells" / "generate.py"), "--out", str(drawn)]
    subprocess.run([*generate, "--count", str(NUM_DRAWN), "--seed", str(DRAWN_SEED)], check=True, capture_output=True)
    export = "from inference_core.cli import main; main()"
    arguments = ["models", "export", str(ROOT / "examples" / "cells" / "package"), "--format", "onnx"]
    subprocess.run(
        [sys.executable, "-c", export, *arguments, "--out", str(package), "--images", str(drawn / "images")],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    return ServedTask(
        name="unet",
        kind="segmentation",
        package=package,
        onnx=package / "model.onnx",
        classes=package / "model.yaml",
        images=drawn / "images",
    )
