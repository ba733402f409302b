"""Filters, fit, tiles and blend together: a real vessel U-Net reaches its reference score on real images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference_core.input_spec import ClaheFilter, GammaFilter, StretchMinmaxFilter
from inference_core.prepare import apply_filters, apply_fit, blend_tiles, map_to_image, plan_fit, to_gray
from inference_core.records import Uint8Array

FILTERS = (StretchMinmaxFilter(), ClaheFilter(clip_limit=2.0, grid=(8, 8)), GammaFilter(gamma=1.2))
DRIVE_SHORT_PX = 543
"""The images at the width of those that the model was trained on, 565 px."""

Infer = Callable[[Uint8Array], Uint8Array]


@pytest.fixture(scope="module")
def infer(assets: Path) -> Infer:
    """(T, h, w, 1) uint8 to the vessels' scores, (T, 1, h, w) uint8."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    model = assets / "models" / "segmentation" / "retina_unet_drive.onnx"
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(tiles: Uint8Array) -> Uint8Array:
        inputs = tiles.transpose(0, 3, 1, 2).astype(np.float32) / 255
        logits = np.concatenate([session.run(None, {name: tile[None]})[0] for tile in inputs])  # (T, 2, h, w)
        vessel = 1 / (1 + np.exp(logits[:, :1] - logits[:, 1:]))  # softmax of two classes
        return np.rint(vessel * 255).astype(np.uint8)

    return run


@pytest.mark.assets
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"fit": "native", "multiple_px": 4}, id="whole"),
        pytest.param({"fit": "tile", "size_hw": (256, 256), "overlap_px": 32}, id="tiles"),
    ],
)
def test_mean_dice_is_the_reference(options: dict[str, object], infer: Infer, assets: Path) -> None:
    folder = assets / "retina" / "chasedb1"
    scores = []
    for path in sorted((folder / "images").glob("*.jpg")):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        with Image.open(folder / "masks" / f"{path.stem}.png") as image:
            truth = np.asarray(image) > 0
        placement = plan_fit(pixels.shape[:2], resize_px=DRIVE_SHORT_PX, **options)
        filtered = apply_filters(to_gray(pixels), FILTERS)
        prepared = apply_fit(filtered, placement, resampler="opencv", pad_mode="reflect")
        canvas = blend_tiles(infer(prepared.tiles), placement)[0]
        vessels = map_to_image(canvas, placement, interpolation="bilinear") >= 128
        scores.append(2 * (vessels & truth).sum() / (vessels.sum() + truth.sum()))
    assert len(scores) == 4
    assert np.mean(scores) == pytest.approx(0.702, abs=0.01)
