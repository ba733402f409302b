"""Numbers as colours, and the bar that says which is which."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw

from inference_core.records import Uint8Array, check_array
from inference_core.visualize.lettering import (
    DARK,
    LIGHT,
    fitted,
    font_px_for,
    load_font,
    printable,
    text_size,
    write,
)

ScaleName = Literal["viridis", "inferno", "cividis"]
"""Scales whose lightness rises evenly: read alike by every eye, and in print."""
SCALES: dict[ScaleName, int] = {
    "viridis": cv2.COLORMAP_VIRIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "cividis": cv2.COLORMAP_CIVIDIS,
}
TICKS = 5
MIN_TITLE_PX = 120
"""So much room a title may take beside the smallest picture."""


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


def scale_colors(scale: ScaleName) -> Uint8Array:
    """(256, 3) uint8, the colour of the lowest value first."""
    return color_values(np.arange(256, dtype=np.uint8)[None], scale=scale).reshape(-1, 3)


def add_color_bar(
    picture: Uint8Array, colors: Uint8Array, *, low: float = 0.0, high: float = 1.0, title: str = ""
) -> Uint8Array:
    """A picture with the bar of its colours at its right.

    Args:
        picture: (H, W, 3) uint8, not modified.
        colors: (N, 3) uint8, that of the lowest value first.
        low: what the lowest colour stands for.
        high: the highest likewise.
        title: stands above the bar.

    Returns:
        (H', W', 3) uint8; higher than the picture where that is too low for a bar.
    """
    font = load_font(font_px_for(picture.shape[:2]))
    letter_width, line_height = text_size("0", font)
    bar_width, pad = max(8, line_height), max(4, line_height // 2)
    title = fitted(printable(title), font, max_width_px=max(picture.shape[1] // 2, MIN_TITLE_PX))
    height = max(picture.shape[0], line_height * (TICKS + 3))
    ticks = [f"{low + (high - low) * step / (TICKS - 1):.3g}" for step in range(TICKS)]
    label_width = max(text_size(text, font)[0] for text in ticks)
    side_width = max(bar_width + label_width + letter_width, text_size(title, font)[0]) + 2 * pad
    canvas = Image.new("RGB", (picture.shape[1] + side_width, height), LIGHT)
    canvas.paste(Image.fromarray(picture), (0, 0))
    top = line_height * 2 if title else line_height
    bar_height = height - top - line_height
    shown = np.linspace(len(colors) - 1, 0, bar_height).round().astype(int)
    left = picture.shape[1] + pad
    canvas.paste(Image.fromarray(np.repeat(colors[shown][:, None], bar_width, axis=1)), (left, top))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((left - 1, top - 1, left + bar_width, top + bar_height), outline=DARK)  # around the colours
    write(draw, (left, line_height // 3), title, font=font, fill=DARK)
    for step, text in enumerate(ticks):
        y = top + (bar_height - 1) * (1 - step / (TICKS - 1))
        draw.line((left + bar_width, y, left + bar_width + letter_width // 2, y), fill=DARK)
        write(draw, (left + bar_width + letter_width, y), text, font=font, fill=DARK, anchor="lm")
    return np.asarray(canvas)
