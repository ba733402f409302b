"""Numbers as colours, and the bar that says which is which."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw

from inference_core.records import Uint8Array, check_array
from inference_core.visualize.lettering import DARK, LIGHT, font_px_for, load_font, text_size

ScaleName = Literal["viridis", "inferno", "cividis"]
"""Scales whose lightness rises evenly: read alike by every eye, and in print."""
SCALES: dict[ScaleName, int] = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "cividis": cv2.COLORMAP_CIVIDIS,
}
TICKS = 5


def color_values(values: Uint8Array, *, scale: ScaleName = "viridis") -> Uint8Array:
    """Colours of numbers.

    Args:
        values: (H, W) uint8, 0 to 255 for the whole scale.
        scale: of the colours.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    check_array("values", values, ndim=2, dtype=np.uint8)
    return np.ascontiguousarray(np.asarray(cv2.applyColorMap(values, SCALES[scale]))[..., ::-1])


def add_color_bar(
    picture: Uint8Array, *, scale: ScaleName = "viridis", low: float = 0.0, high: float = 1.0, title: str = ""
) -> Uint8Array:
    """A picture with the bar of its scale at its right.

    Args:
        picture: (H, W, 3) uint8, not modified.
        scale: of the colours.
        low: what the lowest colour stands for.
        high: the highest likewise.
        title: stands above the bar.

    Returns:
        (H', W', 3) uint8; higher than the picture where that is too low for a bar.
    """
    font = load_font(font_px_for(picture.shape[:2]))
    letter_width, line_height = text_size("0", font)
    bar_width, pad = max(8, line_height), max(4, line_height // 2)
    height = max(picture.shape[0], line_height * (TICKS + 3))
    ticks = [f"{low + (high - low) * step / (TICKS - 1):.2f}" for step in range(TICKS)]
    label_width = max(text_size(text, font)[0] for text in (*ticks, ""))
    side_width = max(bar_width + label_width + letter_width, text_size(title, font)[0]) + 2 * pad
    canvas = Image.new("RGB", (picture.shape[1] + side_width, height), LIGHT)
    canvas.paste(Image.fromarray(picture), (0, 0))
    top = line_height * 2 if title else line_height
    bar_height = height - top - line_height
    ramp = np.repeat(np.linspace(255, 0, bar_height).round().astype(np.uint8)[:, None], bar_width, axis=1)
    left = picture.shape[1] + pad
    canvas.paste(Image.fromarray(color_values(ramp, scale=scale)), (left, top))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left - 1, top - 1, left + bar_width, top + bar_height), outline=DARK)  # around the colours
    draw.text((left, line_height // 3), title, font=font, fill=DARK)
    for step, text in enumerate(ticks):
        y = top + (bar_height - 1) * (1 - step / (TICKS - 1))
        draw.line((left + bar_width, y, left + bar_width + letter_width // 2, y), fill=DARK)
        draw.text((left + bar_width + letter_width, y), text, font=font, fill=DARK, anchor="lm")
    return np.asarray(canvas)
