"""Lines of text in the corner of a picture, which keeps its size: for frames of videos."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from PIL import Image, ImageDraw

from inference_core.records import Uint8Array
from inference_core.visualize.blend import blend
from inference_core.visualize.lettering import DARK, LIGHT, fitted, load_font, printable, text_size, write
from inference_core.visualize.palette import Color

GROUND_ALPHA = 0.6
LETTERS_PER_HEIGHT = 22
MIN_FONT_PX = 12


def draw_caption(picture: Uint8Array, lines: Sequence[str], *, colors: Sequence[Color] = ()) -> Uint8Array:
    """White lines on a dark ground at the top left.

    Args:
        picture: (H, W, 3) uint8, not modified.
        lines: as many as there is room for are drawn.
        colors: a field of it is drawn before each line; none by default.
    """
    height, width = picture.shape[:2]
    font = load_font(max(MIN_FONT_PX, round(height / LETTERS_PER_HEIGHT)))
    letter_px = text_size("", font)[1]
    pad = max(2, letter_px // 3)
    indent = pad + (letter_px + pad if colors else 0)
    step = letter_px + pad
    texts = [fitted(printable(line), font, max_width_px=width - indent - pad) for line in lines]
    rows = [row for row in zip_longest(texts, colors) if row[0]][: max(0, (height - pad) // step)]
    if not rows:
        return picture
    right = min(width, max(text_size(text, font)[0] for text, _ in rows) + indent + pad)
    bottom = min(height, pad + step * len(rows))
    drawn = picture.copy()
    drawn[:bottom, :right] = blend(drawn[:bottom, :right], np.array(DARK, np.uint8), alpha=GROUND_ALPHA)
    image = Image.fromarray(drawn)
    draw = ImageDraw.Draw(image)
    for index, (text, color) in enumerate(rows):
        top = pad + index * step
        if color is not None:
            draw.rectangle((pad, top, pad + letter_px - 1, top + letter_px - 1), fill=color)
        write(draw, (indent, top + (step - pad) / 2), text, font=font, fill=LIGHT, anchor="lm")
    return np.asarray(image)
