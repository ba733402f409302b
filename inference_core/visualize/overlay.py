"""A result drawn over its image: classes as tints with outlines, objects as tints, boxes and names."""

from __future__ import annotations

import numpy as np

from inference_core.records import Uint8Array, check_array
from inference_core.results import Detection, Segmentation
from inference_core.visualize.blend import ALPHA, blend
from inference_core.visualize.boxes import draw_objects
from inference_core.visualize.palette import DEFAULT_PALETTE, Palette
from inference_core.visualize.picture_size import check_same_size

BACKGROUND = 0


def draw_overlay(
    pixels: Uint8Array, result: Segmentation | Detection, *, alpha: float = ALPHA, palette: Palette = DEFAULT_PALETTE
) -> Uint8Array:
    """The image with what was found in it.

    Args:
        pixels: (H, W, 3) uint8, upright, not modified.
        result: in the same pixels.
        alpha: share of a class's colour in a pixel, in [0, 1].
        palette: colours of classes.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ShapeError: pixels are no image, or the result is of an image of another size.
        ConfigError: alpha is out of range.
    """
    check_array("pixels", pixels, ndim=3, dtype=np.uint8)
    if isinstance(result, Segmentation):
        return tint_classes(pixels, result.mask, alpha=alpha, palette=palette)
    return draw_objects(pixels, result, alpha=alpha, palette=palette)


def tint_classes(
    pixels: Uint8Array,
    mask: Uint8Array,
    *,
    alpha: float = ALPHA,
    palette: Palette = DEFAULT_PALETTE,
    background: int | None = BACKGROUND,
) -> Uint8Array:
    """Class colours over the pixels of all classes but the background.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        mask: (H, W) uint8 class ids.
        alpha: share of the colours, in [0, 1]; 1 is the mask alone.
        palette: colours of classes.
        background: the class that stays as it is; None for none.

    Raises:
        ShapeError: the mask is of an image of another size.
        ConfigError: alpha is out of range.
    """
    check_same_size(pixels, mask, name="mask")
    colors = np.array([palette.class_color(index) for index in range(256)], np.uint8)  # (256, 3)
    tinted = blend(pixels, colors[mask], alpha=alpha)
    return tinted if background is None else np.where((mask == background)[..., None], pixels, tinted)
