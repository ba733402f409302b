"""A frame with an answer in it."""

from __future__ import annotations

from inference_core.records import Uint8Array
from inference_core.results import Classification, Detection, MultiLabel, Result, Segmentation
from inference_core.visualize.blend import ALPHA
from inference_core.visualize.caption import draw_caption
from inference_core.visualize.draw import draw_result
from inference_core.visualize.palette import DEFAULT_PALETTE, Palette

CAPTION_LINES = 3
"""Classes of a classification."""
MAX_CLASSES, MIN_SHARE = 8, 0.01
"""Of a segmentation, whose names are written where they cover so much of the picture."""


def draw_answer(
    pixels: Uint8Array, result: Result | None, *, alpha: float = ALPHA, palette: Palette = DEFAULT_PALETTE
) -> Uint8Array:
    """A frame with an answer in it, in its own size.

    Args:
        pixels: (H, W, 3) uint8, not modified.
        result: what is shown; None for nothing.
        alpha: share of a class's colour in a pixel, in [0, 1].
        palette: colours of classes.
    """
    if isinstance(result, Classification):
        pairs = zip(result.labels[:CAPTION_LINES], result.scores.tolist(), strict=False)
        return draw_caption(pixels, [f"{label}  {score:.0%}" for label, score in pairs])
    if isinstance(result, MultiLabel):
        shown = zip(result.labels, result.scores.tolist(), strict=True)
        return draw_caption(pixels, [f"{label}  {score:.0%}" for label, score in shown])
    if not isinstance(result, Detection | Segmentation):
        return pixels
    drawn = draw_result(
        pixels, result, alpha=alpha, palette=palette, has_legend=False, max_side_px=max(pixels.shape[:2])
    )
    return draw_class_names(drawn, result, palette=palette) if isinstance(result, Segmentation) else drawn


def draw_class_names(pixels: Uint8Array, result: Segmentation, *, palette: Palette) -> Uint8Array:
    """The names of the classes that are seen, with their colours; by their ids, so that they stay in their places."""
    shares = result.class_pixels / max(1, int(result.class_pixels.sum()))
    seen = [class_id for class_id in range(1, len(result.labels)) if shares[class_id] >= MIN_SHARE]
    most = sorted(sorted(seen, key=lambda class_id: -shares[class_id])[:MAX_CLASSES])
    lines = [f"{result.labels[class_id]}  {shares[class_id]:.0%}" for class_id in most]
    return draw_caption(pixels, lines, colors=[palette.class_color(class_id) for class_id in most])
