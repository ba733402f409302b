"""Names in figures for print: which of Matplotlib's fonts shows them, how wide they are, and no formulas."""

from __future__ import annotations

from typing import Any

from inference_core.visualize.lettering import clean_line
from inference_core.visualize.typefaces import FACES, OWN, face_for, load_face, with_known_letters

MEASURED_PX = 100.0
"""Size at which names are measured."""
FIGURE_FACES = tuple(face for face in FACES if face != OWN)
"""Matplotlib's own font first."""


def name_of(text: str) -> str:
    """A name on one line, with codes for letters that no font has."""
    return with_known_letters(clean_line(text), faces=FIGURE_FACES)


def fitted_name(text: str, *, max_width_pt: float, size_pt: float) -> str:
    """A name cut so that it is not wider; "" where nothing fits."""
    name = name_of(text)
    while name and width_pt(name, size_pt=size_pt) > max_width_pt:
        name = name[:-2].rstrip("…") + "…" if len(name) > 2 else ""
    return name


def width_pt(name: str, *, size_pt: float) -> float:
    """Width of a name in points."""
    font = load_face(face_for(name, faces=FIGURE_FACES), MEASURED_PX)
    assert font is not None, "Matplotlib brings one"
    return font.getlength(name) * size_pt / MEASURED_PX


def font_of(name: str, *, size_pt: float) -> Any:
    """The font that has the letters of a name."""
    from matplotlib.font_manager import FontProperties

    font = load_face(face_for(name, faces=FIGURE_FACES), MEASURED_PX)
    return FontProperties(fname=getattr(font, "path", None), size=size_pt)


def literal(text: str) -> str:
    """A name as it is: Matplotlib would take dollar signs for formulas."""
    return text.replace("\\", "\\\\").replace("$", r"\$")
