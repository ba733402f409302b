"""An explanation as a picture over its image."""

from __future__ import annotations

import cv2
import numpy as np

from inference_core.explain.explanation import Explanation
from inference_core.records import Uint8Array
from inference_core.visualize.heatmap import check_heatmap, draw_heatmap
from inference_core.visualize.picture_size import fitted_hw, scale_pixels

MAX_SIDE_PX = 2048
"""Longest side of a picture: the heatmaps are smooth, and pictures are many."""

BLUR_SHARE = 1 / 70
"""Of the longer side, for methods that give each pixel a value of its own: their dots would be lost in a picture."""
WINDOW_BLUR_SHARE = 1 / 4
"""Of the side of an occlusion's window: its steps are those of the windows, not of the image."""
NAMES = {
    "gradcam": "Grad-CAM",
    "saliency": "saliency",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
}


def draw_explanation(
    pixels: Uint8Array, explanation: Explanation, *, has_bar: bool = True, max_side_px: int = MAX_SIDE_PX
) -> Uint8Array:
    """The image with the heatmap over it, the class, its score and the method above, and a bar of colours beside.

    Args:
        pixels: (H, W, 3) uint8, upright, as the explanation's image was read; not modified.
        explanation: of the image.
        has_bar: whether title and bar stand there.
        max_side_px: a larger image is drawn on a smaller copy.

    Returns:
        (H, W, 3) uint8, larger with the bar.
    """
    check_heatmap(pixels, explanation.heatmap)
    height, width = fitted_hw(pixels.shape[:2], max_side_px=max_side_px)
    scale = width / pixels.shape[1]
    heatmap, box = explanation.heatmap, explanation.box_xyxy
    if scale < 1:
        pixels = scale_pixels(pixels, (height, width))
        heatmap = np.asarray(cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        box = None if box is None else (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
    return draw_heatmap(
        pixels,
        heatmap,
        blur_px=blur_of(explanation) * scale,
        floor=floor_of(explanation),
        title=f"{explanation.label} {explanation.score:.2f} - {NAMES[explanation.method]}",
        has_bar=has_bar,
        box_xyxy=box,
    )


def blur_of(explanation: Explanation) -> float:
    """By how much the picture is smoothed, in pixels of the image; the heatmap itself never is."""
    if explanation.method == "gradcam":
        return 0.0
    if explanation.window_px is None:
        return float(max(explanation.heatmap.shape)) * BLUR_SHARE
    return max(explanation.window_px) * WINDOW_BLUR_SHARE


def floor_of(explanation: Explanation) -> float:
    """What the picture of a Grad-CAM begins at: the least that it tells of any place, since its scale has no zero."""
    if explanation.method != "gradcam":
        return 0.0
    told = explanation.heatmap[explanation.heatmap > 0]
    return float(told.min()) if told.size else 0.0
