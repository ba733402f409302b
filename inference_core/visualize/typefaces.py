"""Which font shows a text: Pillow's own knows ASCII alone, so that other letters need one that the machine has."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

OWN = ""
"""Pillow's own font, which is there on every machine."""
FACES = (
    OWN,
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "msyh.ttc",
)
"""The first one that has all letters of a text is taken."""
NO_LETTER = "\U0010ffff"
"""A code that stands for nothing, so that fonts show what they show for letters that they lack."""
PROBE_PX = 24


@lru_cache(maxsize=64)
def load_face(face: str, size_px: float) -> Font | None:
    """A font at a size, None where the machine lacks it. Matplotlib, where it is installed, brings DejaVu."""
    if face == OWN:
        return ImageFont.load_default(size=size_px)
    for path in (matplotlib_font(face), face):
        try:
            return ImageFont.truetype(path, size_px)
        except OSError:
            continue
    return None


def matplotlib_font(face: str) -> str:
    """Where Matplotlib would have a font; it is not loaded for that."""
    spec = find_spec("matplotlib")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    return str(folder / "mpl-data" / "fonts" / "ttf" / face)


@lru_cache(maxsize=65_536)
def has_letter(face: str, char: str) -> bool:
    """Whether a font has a letter: it shows another picture for it than for none."""
    if face == OWN and not char.isascii() and char != "…":
        return False
    font = load_face(face, PROBE_PX)
    return font is not None and (char.isspace() or picture_of(font, char) != picture_of(font, NO_LETTER))


def picture_of(font: Font, char: str) -> tuple[tuple[int, int], bytes]:
    """Size and bytes of a letter."""
    mask = font.getmask(char)
    return mask.size, bytes(mask)


def face_for(text: str, *, faces: Sequence[str] = FACES) -> str:
    """The first font that has all letters of a text, else the one that has most."""
    if text.isascii() and OWN in faces:
        return OWN
    letters = sorted(set(text))
    counts = [sum(has_letter(face, char) for char in letters) for face in faces]
    return faces[counts.index(max(counts))]


def with_known_letters(text: str, *, faces: Sequence[str] = FACES) -> str:
    r"""A text as its font can show it: two names must not look alike because their letters are unknown.

    Letters that it lacks are written as their codes.

    Example:
        >>> with_known_letters("a \U0001f408", faces=[OWN])
        'a U+1F408'
    """
    if text.isascii() and OWN in faces:
        return text
    composed = unicodedata.normalize("NFC", text)
    face = face_for(composed, faces=faces)
    return "".join(char if has_letter(face, char) else f"U+{ord(char):04X}" for char in composed)
