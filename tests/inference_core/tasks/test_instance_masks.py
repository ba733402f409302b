from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.tasks.instance_masks import MaskPart, place_mask
from inference_core.tasks.mask_grid import grid_level, sample_grid
from tests.drawn_objects import disc, mask_iou, rectangle, ring
from tests.torchvision_shim import import_torchvision

FULL = np.full((4, 4), 255, np.uint8)


def part(window: Any, grid: Any = FULL) -> MaskPart:
    return MaskPart(grid=np.asarray(grid, np.uint8), window_xyxy=np.float32(window))


def placed(*parts: MaskPart, image_hw: tuple[int, int] = (6, 8), level: float = 0.5) -> Any:
    return place_mask(parts, image_hw=image_hw, level=level)


@pytest.mark.parametrize(
    ("window", "rows", "columns"),
    [
        pytest.param([2, 1, 5, 4], slice(1, 4), slice(2, 5), id="whole-pixels"),
        pytest.param([1.6, 1.4, 4.4, 3.5], slice(1, 3), slice(2, 4), id="centres-count"),
        pytest.param([-3, -2, 100, 100], slice(0, 6), slice(0, 8), id="beyond-the-image"),
        pytest.param([3, 3, 3, 3], slice(0, 0), slice(0, 0), id="no-area"),
        pytest.param([3.6, 3.6, 4.4, 4.4], slice(0, 0), slice(0, 0), id="between-centres"),
        pytest.param([-9, -9, -2, -2], slice(0, 0), slice(0, 0), id="before-the-image"),
        pytest.param([20, 20, 30, 30], slice(0, 0), slice(0, 0), id="behind-the-image"),
    ],
)
def test_a_full_grid_fills_the_pixels_in_its_window(window: list[float], rows: slice, columns: slice) -> None:
    expected = np.zeros((6, 8), np.bool_)
    expected[rows, columns] = True
    mask = placed(part(window))
    np.testing.assert_array_equal(mask.to_array(), expected)
    assert (mask.size_hw, mask.area_px) == ((6, 8), expected.sum())


def test_a_mask_reaches_where_its_level_is() -> None:
    ramp = np.broadcast_to(np.arange(8) * 36, (8, 8))  # 0 to 252, one cell a pixel
    for level, first in ((0.1, 1), (0.5, 4), (0.98, 7)):
        expected = np.broadcast_to(np.arange(8) >= first, (8, 8))
        np.testing.assert_array_equal(
            placed(part([0, 0, 8, 8], ramp), image_hw=(8, 8), level=level).to_array(), expected
        )


def test_parts_are_joined() -> None:
    mask = placed(part([0, 0, 4, 2]), part([3, 1, 6, 5]), part([100, 0, 110, 1]))
    expected = np.zeros((6, 8), np.bool_)
    expected[0:2, 0:4] = expected[1:5, 3:6] = True
    np.testing.assert_array_equal(mask.to_array(), expected)
    assert mask.area_px == expected.sum()


def test_an_object_of_the_whole_image_costs_a_few_bytes() -> None:
    assert placed(part([0, 0, 8, 6])).counts == "0`1"


@given(
    x=st.floats(-5, 70),
    y=st.floats(-5, 70),
    width=st.floats(0, 80),
    height=st.floats(0, 80),
    level=st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_pixels_are_those_of_the_grid_at_their_centres(
    x: float, y: float, width: float, height: float, level: float, seed: int
) -> None:
    """The plain way, pixel by pixel, but for those within rounding of the level."""
    grid = np.random.default_rng(seed).integers(0, 256, (5, 5), dtype=np.uint8)
    window = np.float32([x, y, x + width, y + height])
    mask = placed(part(window, grid), image_hw=(64, 65), level=level).to_array()
    low_x, low_y, high_x, high_y = window.tolist()
    for row, column in np.random.default_rng(seed).integers(0, 64, (40, 2)):
        is_inside = low_y <= row + 0.5 < high_y and low_x <= column + 0.5 < high_x
        value = -1.0
        if is_inside:
            v = min(max((row + 0.5 - low_y) / (high_y - low_y) * 5 - 0.5, 0), 4)
            u = min(max((column + 0.5 - low_x) / (high_x - low_x) * 5 - 0.5, 0), 4)
            i, j = min(int(v), 3), min(int(u), 3)
            corners = grid[i : i + 2, j : j + 2].astype(float)
            value = np.array([1 - (v - i), v - i]) @ corners @ np.array([1 - (u - j), u - j])
        if not is_inside or abs(value - level * 255) > 1e-2:
            assert mask[row, column] == (value >= level * 255)


SHAPES = {
    "disc": (disc(64, 60, 41), [19, 23, 101, 105]),
    "small-disc": (disc(30, 60, 9), [51, 21, 69, 39]),
    "rectangle": (rectangle(60, 70, 80, 44), [48, 20, 92, 100]),
    "ring": (ring(64, 64, 50, 30), [14, 14, 114, 114]),
    "beyond-the-input": (disc(10, 120, 40), [80, 0, 128, 50]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_are_those_of_ultralytics(shape: str) -> None:
    """``process_mask``: logits of prototypes cropped to the box and scaled to the input, then cut at 0."""
    inside, box = SHAPES[shape]
    ys, xs = np.mgrid[:128, :128] + 0.5
    soft = torch.from_numpy(inside(ys, xs).astype(np.float32))[None, None]
    logits = (F.avg_pool2d(soft, 4) - 0.5) * 12  # (1, 1, 32, 32)
    scaled = F.interpolate(logits, size=(128, 128), mode="bilinear", align_corners=False)[0, 0].numpy()
    reference = np.zeros((128, 128), np.bool_)
    columns, rows = slice(box[0], box[2]), slice(box[1], box[3])
    reference[rows, columns] = scaled[rows, columns] > 0
    grids, _ = sample_grid(logits[0], torch.tensor([box]).float(), input_hw=(128, 128), mask_px=56, is_logits=True)
    level = grid_level(0.5, is_logits=True)
    mask = placed(part(box, grids[0].numpy()), image_hw=(128, 128), level=level).to_array()
    assert mask_iou(mask, reference) > 0.98


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_are_those_of_torchvision(shape: str) -> None:
    """``paste_masks_in_image``: a mask of 28 x 28 scores, padded by one, is scaled to its box and pasted."""
    inside, box = SHAPES[shape]
    x_min, y_min, x_max, y_max = box
    ys, xs = np.mgrid[:28, :28] + 0.5
    scores = inside(y_min + ys * (y_max - y_min) / 28, x_min + xs * (x_max - x_min) / 28).astype(np.float32)
    pasted = paste(scores, box, image_hw=(128, 128))  # what the model gives
    window = [x_min - 1, y_min - 1, x_max + 1, y_max + 1]
    grids, _ = sample_grid(
        torch.from_numpy(pasted)[None], torch.tensor([window]).float(), input_hw=(128, 128), mask_px=56, is_logits=False
    )
    mask = placed(part(window, grids[0].numpy()), image_hw=(128, 128)).to_array()
    assert mask_iou(mask, pasted > 0.5) > 0.97


@pytest.mark.parametrize("shape", SHAPES)
def test_the_reference_is_what_torchvision_does(shape: str) -> None:
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    import_torchvision()
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    _, box = SHAPES[shape]
    scores = np.random.default_rng(0).random((28, 28), dtype=np.float32)
    theirs = paste_masks_in_image(torch.from_numpy(scores)[None, None], torch.tensor([box]).float(), (128, 128))
    np.testing.assert_allclose(paste(scores, box, image_hw=(128, 128)), theirs[0, 0].numpy(), atol=1e-6)


def paste(scores: Any, box: list[int], *, image_hw: tuple[int, int]) -> Any:
    """torchvision's ``models/detection/roi_heads.py``, written again: expand by the padding, resize, paste."""
    padded = F.pad(torch.from_numpy(scores)[None, None], (1, 1, 1, 1))
    scale = padded.shape[-1] / scores.shape[-1]
    x_center, y_center = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half_width, half_height = (box[2] - box[0]) / 2 * scale, (box[3] - box[1]) / 2 * scale
    x_min, y_min = int(x_center - half_width), int(y_center - half_height)
    x_max, y_max = int(x_center + half_width), int(y_center + half_height)
    size = (max(y_max - y_min + 1, 1), max(x_max - x_min + 1, 1))
    scaled = F.interpolate(padded, size=size, mode="bilinear", align_corners=False)[0, 0].numpy()
    image = np.zeros(image_hw, np.float32)
    rows, columns = slice(max(y_min, 0), min(y_max + 1, 128)), slice(max(x_min, 0), min(x_max + 1, 128))
    image[rows, columns] = scaled[rows.start - y_min : rows.stop - y_min, columns.start - x_min : columns.stop - x_min]
    return image
