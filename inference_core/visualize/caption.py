"""Lines of text in the corner of a picture, which keeps its size: for frames of videos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from inference_core.records import Uint8Array
from inference_core.visualize.blend import blend
from inference_core.visualize.lettering import DARK, LIGHT, fitted, load_font, printable, text_size

GROUND_ALPHA = 0.6
LETTERS_PER_HEIGHT = 22
MIN_FONT_PX = 12


def draw_caption(picture: Uint8Array, lines: Sequence[str]) -> Uint8Array:
    """White lines on a dark ground at the top left.

    Args:
        picture: (H, W, 3) uint8, not modified.
        lines: as many as there is room for are drawn.
    """
    height, width = picture.shape[:2]
    font = load_font(max(MIN_FONT_PX, round(height / LETTERS_PER_HEIGHT)))
    pad = max(2, text_size("", font)[1] // 3)
    step = text_size("", font)[1] + pad
    texts = [fitted(printable(line), font, max_width_px=width - 2 * pad) for line in lines]
    texts = [text for text in texts if text][: max(0, (height - pad) // step)]
    if not texts:
        return picture
    right = min(width, max(text_size(text, font)[0] for text in texts) + 2 * pad)
    bottom = min(height, pad + step * len(texts))
    drawn = picture.copy()
    drawn[:bottom, :right] = blend(drawn[:bottom, :right], np.array(DARK, np.uint8), alpha=GROUND_ALPHA)
    image = Image.fromarray(drawn)
    draw = ImageDraw.Draw(image)
    for index, text in enumerate(texts):
        draw.text((pad, pad + index * step + (step - pad) / 2), text, font=font, fill=LIGHT, anchor="lm")
    return np.asarray(image)
