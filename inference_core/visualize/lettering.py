"""Text in pictures: its font, its size, and what can be read on a colour."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageFont

from inference_core.visualize.palette import Color

DARK, LIGHT = (0, 0, 0), (255, 255, 255)
LUMA_LIMIT = 140
"""Text on a colour is dark above it, light below."""
MAX_CHARS = 60
MIN_FONT_PX = 13
"""Below it letters cannot be read."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@lru_cache(maxsize=32)
def load_font(size_px: int) -> Font:
    """Pillow's own font, which is there on every machine."""
    return ImageFont.load_default(size=float(size_px))


def font_px_for(image_hw: tuple[int, int]) -> int:
    """Height of letters that reads well beside a picture of a size."""
    return max(MIN_FONT_PX, round(max(image_hw) / 50))


def text_size(text: str, font: Font) -> tuple[int, int]:
    """Width and height in pixels of a line, the height that of any line in the font."""
    left, _, right, _ = font.getbbox(text)
    return int(right - left + 0.999), line_height(font)


@lru_cache(maxsize=32)
def line_height(font: Font) -> int:
    """Height in pixels of any line."""
    _, top, _, bottom = font.getbbox("Ag|")
    return int(bottom - top + 0.999)


def printable(text: str, *, max_chars: int = MAX_CHARS) -> str:
    """At most so many characters, without line ends and what a terminal would take for a command."""
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
