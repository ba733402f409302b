"""One drawn image with its truth: a function of a seed and an index, whatever was drawn before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellgen.camera import apply_illumination, expose
from cellgen.outline import FloatArray
from cellgen.scene import draw_scene
from cellgen.styles import STYLES

IMAGE_SIZES_HW = ((256, 256), (240, 320), (384, 512), (333, 200), (200, 333), (300, 300))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """An image, its truth and how it came about."""

    light: FloatArray
    """(H, W) or (H, W, 3) float32 in [0, 1]."""
    truth: NDArray[np.uint8]
    """(H, W) uint8: 0 background, 1 cell."""
    style: str
    num_cells: int


def draw_sample(*, seed: int, index: int, gray: bool | None = None, style: str | None = None) -> Sample:
    """Draw image ``index`` of the collection ``seed``.

    Args:
        seed: names a collection, >= 0; other seeds share nothing with it.
        index: which image of it, >= 0.
        gray: one channel or three; None draws lots.
        style: a key of ``STYLES``; None draws lots.
    """
    rng = np.random.default_rng([seed, index])
    image_hw = IMAGE_SIZES_HW[rng.integers(len(IMAGE_SIZES_HW))]
    drawn_style, drawn_gray = list(STYLES)[rng.integers(len(STYLES))], bool(rng.random() < 0.4)
    style = drawn_style if style is None else style
    scene = draw_scene(rng, image_hw=image_hw)
    lit = apply_illumination(rng, STYLES[style](rng, scene))
    return Sample(
        light=expose(rng, lit, gray=drawn_gray if gray is None else gray),
        truth=scene.truth.astype(np.uint8),
        style=style,
        num_cells=scene.num_cells,
    )
