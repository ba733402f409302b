"""Text in pictures: its font, its size, and what can be read on a colour."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageDraw

from inference_core.visualize.palette import Color
from inference_core.visualize.typefaces import OWN, Font, face_for, load_face, with_known_letters

DARK, LIGHT = (0, 0, 0), (255, 255, 255)
LUMA_LIMIT = 140
"""Text on a colour is dark above it, light below."""
MAX_CHARS = 60
MIN_FONT_PX = 13
"""Below it letters cannot be read."""
FALLBACK_SCALE = 0.92
"""Other fonts are drawn smaller: their letters are larger at the same size."""


def load_font(size_px: int) -> Font:
    """The usual font at a size."""
    font = load_face(OWN, float(size_px))
    assert font is not None, "Pillow brings it"
    return font


def font_for(text: str, font: Font) -> Font:
    """The font itself, or one about as large that has the letters of a text, where the machine has one."""
    face = face_for(text)
    if face == OWN:
        return font
    return load_face(face, float(round(getattr(font, "size", MIN_FONT_PX) * FALLBACK_SCALE))) or font


def write(
    draw: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, *, font: Font, fill: Color, anchor: str = "la"
) -> None:
    """Draw a line of text in its font, or in one that has its letters.

    Args:
        draw: where to.
        xy: of the anchor.
        text: one line; see ``printable``.
        font: the usual one.
        fill: colour of the letters.
        anchor: which point of the line is meant, as Pillow says it.
    """
    draw.text(xy, text, font=font_for(text, font), fill=fill, anchor=anchor)


def font_px_for(image_hw: tuple[int, int]) -> int:
    """Height of letters that reads well beside a picture of a size."""
    return max(MIN_FONT_PX, round(max(image_hw) / 50))


def text_size(text: str, font: Font) -> tuple[int, int]:
    """Width and height in pixels of a line, the height that of any line in the font."""
    left, _, right, _ = font_for(text, font).getbbox(text)
    return int(right - left + 0.999), line_height(font)


@lru_cache(maxsize=32)
def line_height(font: Font) -> int:
    """Height in pixels of any line."""
    _, top, _, bottom = font.getbbox("Ag|")
    return int(bottom - top + 0.999)


def printable(text: str, *, max_chars: int = MAX_CHARS) -> str:
    """At most so many characters on one line, with codes for letters that no font has."""
    return with_known_letters(clean_line(text, max_chars=max_chars))


def clean_line(text: str, *, max_chars: int = MAX_CHARS) -> str:
    """At most so many characters on one line, none of which turns the others around."""
    shown = "".join(char if char.isprintable() else " " for char in text[: max_chars + 1])
    return shown if len(text) <= max_chars else shown[: max_chars - 1] + "…"


def fitted(text: str, font: Font, *, max_width_px: int) -> str:
    """A text cut so that it is not wider; the ellipsis tells. "" where not even that fits."""
    if text_size(text, font)[0] <= max_width_px:
        return text
    for length in range(len(text) - 1, 0, -1):
        cut = text[:length].rstrip() + "…"
        if text_size(cut, font)[0] <= max_width_px:
            return cut
    return ""


def ink_on(color: Color) -> Color:
    """Black or white, whichever is read better on a colour. Source: ITU-R BT.601, luma."""
    luma = (299 * color[0] + 587 * color[1] + 114 * color[2]) / 1000
    return DARK if luma > LUMA_LIMIT else LIGHT
