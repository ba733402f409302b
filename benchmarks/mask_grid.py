"""How well a grid of ``output.mask_px`` cells keeps an object's mask, against what it costs.

python benchmarks/mask_grid.py

Shapes of several sizes are drawn, and what a model would give for them is made of the drawing: logits at a quarter of
the input's resolution (YOLO, Mask2Former) or scores at its own (Mask R-CNN). The result is compared with these masks
themselves, scaled to the input, so that only what the grid loses is counted.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from inference_core.records import FloatArray
from inference_core.run_length import BoolArray
from inference_core.tasks.instance_masks import MaskPart, place_mask
from inference_core.tasks.mask_grid import grid_level, sample_grid

SIZES_PX = (30, 100, 300, 600)
GRIDS_PX = (14, 28, 56, 112)
LOGIT_RANGE = 16.0
MARGIN_PX = 30


def shapes(size_px: int) -> Iterator[BoolArray]:
    """Masks of objects ``size_px`` across, a little off the middle, so that edges lie between pixels."""
    side = (size_px + 2 * MARGIN_PX + 3) // 4 * 4
    ys, xs = np.mgrid[:side, :side] + 0.5 - (side / 2 + 0.3)
    radius = size_px / 2
    angle, distance = np.arctan2(ys, xs), np.hypot(ys, xs)
    along, across = xs * np.cos(0.5) + ys * np.sin(0.5), ys * np.cos(0.5) - xs * np.sin(0.5)
    yield distance < radius
    yield (abs(xs) < radius) & (abs(ys) < 0.6 * radius)
    yield (along / radius) ** 2 + (across / (0.5 * radius)) ** 2 < 1
    yield (abs(along) < radius) & (abs(across) < 0.1 * radius)
    yield distance < radius * (0.7 + 0.3 * np.cos(5 * angle))
    yield distance < radius * (0.55 + 0.45 * np.cos(8 * angle))
    yield (distance < radius) & (distance > 0.75 * radius)


def box_of(mask: BoolArray) -> FloatArray:
    """(4,) the box around a mask."""
    ys, xs = np.nonzero(mask)
    return np.float32([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def agreement(drawn: BoolArray, *, mask_px: int, has_logits: bool) -> float:
    """Intersection over union of what comes back and what the model said."""
    side = len(drawn)
    soft = drawn.astype(np.float32)
    if has_logits:
        soft = (cv2.resize(soft, (side // 4, side // 4), interpolation=cv2.INTER_AREA) - 0.5) * np.float32(LOGIT_RANGE)
    said = cv2.resize(soft, (side, side), interpolation=cv2.INTER_LINEAR) > (0 if has_logits else 0.5)
    box = box_of(said)
    (grid,), _ = sample_grid(soft[None], box[None], input_hw=(side, side), mask_px=mask_px, is_logits=has_logits)
    level = grid_level(0.5, is_logits=has_logits)
    part = MaskPart(grid=grid, window_xyxy=box)
    found = place_mask([part], image_hw=(side, side), level=level).to_array()
    return float(np.count_nonzero(found & said) / np.count_nonzero(found | said))


def main() -> None:
    """Print the table: mean and worst over the shapes."""
    print("object_px  maps    " + "".join(f"  {px:>3} px, {px * px:>5} bytes" for px in GRIDS_PX))
    for size_px in SIZES_PX:
        for has_logits in (False, True):
            cells = []
            for mask_px in GRIDS_PX:
                found = [agreement(drawn, mask_px=mask_px, has_logits=has_logits) for drawn in shapes(size_px)]
                cells.append(f"{np.mean(found):>12.3f} {min(found):.3f}")
            print(f"{size_px:>9}  {'logits' if has_logits else 'scores'}  " + "  ".join(cells))


if __name__ == "__main__":
    main()
