from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference_core.explain.explainer import Explainer
from inference_core.models.package import load_package
from tests.asset_packages import mobilenet_package
from tests.detection_packages import fastestdet_package

pytestmark = pytest.mark.assets


def share_inside(heatmap: np.ndarray, box_xyxy: tuple[float, ...]) -> float:
    """Share of the positive evidence within a box."""
    left, top, right, bottom = (round(side) for side in box_xyxy)
    positive = np.clip(heatmap, 0, None)
    return float(positive[top:bottom, left:right].sum() / positive.sum())


def test_a_bird_is_known_by_the_bird(assets: Path, tmp_path: Path) -> None:
    photo = (assets / "classification" / "imagenet" / "n01601694_water_ouzel.JPEG").read_bytes()
    torch_, onnx = (
        Explainer(load_package(str(mobilenet_package(tmp_path / kind, assets, kind=kind)))) for kind in ("pth", "onnx")
    )
    heat = torch_.explain(photo, method="occlusion").heatmap
    height, width = heat.shape
    bird = (0.13 * width, 0.18 * height, 0.62 * width, 0.9 * height)
    assert share_inside(heat, bird) > 0.8  # of an area of 0.35
    assert share_inside(torch_.explain(photo, method="gradcam").heatmap, bird) > 0.5
    # The same weights in another engine: differences of log-odds, each rounded in its own way.
    np.testing.assert_allclose(onnx.explain(photo).heatmap, heat, atol=1e-3)


def test_an_object_is_known_by_what_is_in_its_box(assets: Path, tmp_path: Path) -> None:
    photo = (assets / "coco_val" / "images" / "000000000776.jpg").read_bytes()
    explanation = Explainer(load_package(str(fastestdet_package(tmp_path, assets)))).explain(photo)
    assert explanation.label == "teddy bear"
    assert explanation.box_xyxy is not None
    assert share_inside(explanation.heatmap, explanation.box_xyxy) > 0.6
