"""How sure a segmentation is of each pixel, as colours over the image."""

from __future__ import annotations

import numpy as np

from inference_core.records import Uint8Array
from inference_core.results import Segmentation
from inference_core.visualize.blend import blend
from inference_core.visualize.color_scale import ScaleName, add_color_bar, color_values, scale_colors
from inference_core.visualize.picture_size import check_same_size

MAP_ALPHA = 0.75
"""Share of the colours: enough to read them by the bar, while the image still shows through."""


def draw_score_map(
    pixels: Uint8Array, result: Segmentation, *, alpha: float = MAP_ALPHA, has_bar: bool = True
) -> Uint8Array:
    """Scores over the image: of the foreground with two classes, else of the class that was chosen.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        result: in the same pixels.
        alpha: share of the colours, in [0, 1].
        has_bar: whether the scale stands beside.

    Raises:
        ShapeError: the result is of an image of another size.
    """
    check_same_size(pixels, result.scores, name="scores")
    title = result.labels[1] if is_binary(result) else "score"
    return paint_values(pixels, result.scores, scale="viridis", alpha=alpha, title=title if has_bar else None)


def draw_uncertainty(
    pixels: Uint8Array, result: Segmentation, *, alpha: float = MAP_ALPHA, has_bar: bool = True
) -> Uint8Array:
    """Uncertainty over the image.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        result: in the same pixels.
        alpha: share of the colours, in [0, 1].
        has_bar: whether the scale stands beside.

    Raises:
        ShapeError: the result is of an image of another size.
    """
    values = uncertainty_of(result)
    check_same_size(pixels, values, name="uncertainty")
    return paint_values(pixels, values, scale="inferno", alpha=alpha, title="uncertainty" if has_bar else None)


def paint_values(
    pixels: Uint8Array, values: Uint8Array, *, scale: ScaleName, alpha: float, title: str | None
) -> Uint8Array:
    """Values as colours over an image, with their scale beside it where a title is given."""
    colored = blend(pixels, color_values(values, scale=scale), alpha=alpha)
    return add_color_bar(colored, scale_colors(scale), title=title) if title is not None else colored


def uncertainty_of(result: Segmentation) -> Uint8Array:
    """(H, W) uint8, 255 for the most there can be.

    What the package measures where it asks for ``uncertainty``; else how far the score of the chosen class is below 1,
    of two classes twice that, since it is never below a half.
    """
    if result.spread is not None and result.spread.pixels is not None:
        return result.spread.pixels
    if not is_binary(result):
        return 255 - result.scores
    foreground = result.scores.astype(np.int16)
    return (255 - np.abs(2 * foreground - 255)).astype(np.uint8)


def is_binary(result: Segmentation) -> bool:
    """Whether scores are those of the foreground."""
    return len(result.labels) == 2
