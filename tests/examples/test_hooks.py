from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import generate
import numpy as np
import pytest
from PIL import Image

from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.results import Segmentation
from tests.jobs.local_run import read_rows

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ROOT / "examples" / "hooks"
CELLS = ROOT / "examples" / "cells" / "package"
COUNT = 6


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cells")
    assert generate.main(["--out", str(out), "--count", str(COUNT), "--seed", "7"]) == 0
    return out / "images"


def build(folder: Path, *options: str) -> Path:
    done = run(str(HOOKS / "build.py"), "--out", str(folder), *options)
    assert done.returncode == 0, done.stderr
    assert f"wrote file://{folder}, digest {load_package(str(folder)).digest[:12]}" in done.stdout
    return folder


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )


def masks_of(package: Path, images: Path) -> list[np.ndarray]:
    predictor = Predictor.load(package, device="cpu", num_threads=1, trust_package_code=True)
    results = [prediction.result for prediction in predictor.predict_directory(images)]
    assert len(results) == COUNT
    assert all(isinstance(result, Segmentation) for result in results)
    return [result.mask for result in results if isinstance(result, Segmentation)]


def border_pixels(mask: np.ndarray) -> int:
    return int(mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum())


def test_the_step_drops_what_the_image_cuts_off(images: Path, tmp_path: Path) -> None:
    plain, hooked = masks_of(CELLS, images), masks_of(build(tmp_path / "hooked"), images)
    assert sum(map(border_pixels, plain)) > 0
    assert sum(map(border_pixels, hooked)) == 0
    assert all(mask.any() for mask in hooked)


def test_the_options_of_the_others_change_the_masks(images: Path, tmp_path: Path) -> None:
    base = masks_of(build(tmp_path / "base"), images)
    eager = masks_of(build(tmp_path / "eager", "--bias", "3"), images)
    sharp = masks_of(build(tmp_path / "sharp", "--sigma-px", "4"), images)
    assert sum(int(mask.sum()) for mask in eager) > sum(int(mask.sum()) for mask in base)
    assert any(not np.array_equal(one, other) for one, other in zip(base, sharp, strict=True))


def test_the_commands_of_the_readme(images: Path, tmp_path: Path) -> None:
    package, output = build(tmp_path / "cells-with-hooks"), tmp_path / "run"
    shown = (HOOKS / "README.md").read_text()
    refused = run("-m", "jobs", "run", "--model", str(package), "--input", str(images), "--output", str(output))
    assert refused.returncode == 2
    beginning = shown.partition("    error: ")[2].partition(" file://")[0]
    assert beginning in refused.stderr
    arguments = ["--trust-package-code", "--set", "execution.num_cpus=2", "--log-format", "json"]
    ended = run(
        *("-m", "jobs", "run", "--model", str(package), "--input", str(images), "--output", str(output)), *arguments
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["ok"] == COUNT
    rows = read_rows(output)
    for row, mask in zip(rows, masks_of(package, images), strict=True):
        assert np.array_equal(np.asarray(Image.open(output / row["mask_path"])), mask)
