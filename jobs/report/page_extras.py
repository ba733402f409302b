"""What a report's page shows besides statistics and facts: pictures, explanations, labels, files. All is optional.

Whoever has read it from the output gives it; the page itself reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.report.shown_evaluation import ShownEvaluation
from jobs.visuals.index import DrawnReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownImage:
    """One image with its pictures."""

    image_id: str
    uri: str
    status: str
    error: str
    label: str
    """The answer in a few words."""
    score: float | None
    note: str
    """What is not as it should be."""
    reasons: tuple[DrawnReason, ...] = ()
    """Why it was drawn."""
    path: str = ""
    """Of its picture, below the output; "" where there is none."""
    thumbnail: bytes = b""
    """JPEG, empty where none is embedded."""
    thumbnail_hw: tuple[int, int] = (0, 0)
    picture: bytes = b""
    """A larger JPEG, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLink:
    """A file or folder of the run."""

    path: str
    """From the page's folder, as ``../visuals/index.json``."""
    words: str
    """What it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageExtras:
    """All of it."""

    images: tuple[ShownImage, ...] = ()
    """Drawn ones, in the order of the index."""
    num_drawn: int = 0
    """Images drawn, more than there are ``images`` where they are too many for a page."""
    explanations: tuple[ShownImage, ...] = ()
    """With the picture of what their answers come from."""
    evaluation: ShownEvaluation | None = None
    """``report/evaluation.json``."""
    reference: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Histograms of the run that this one is held to, by quantity."""
    decisions: Mapping[str, Any] | None = None
    """How the package makes answers of scores; None where the plan does not tell."""
    links: tuple[FileLink, ...] = ()

    @property
    def num_embedded_bytes(self) -> int:
        """Bytes of all pictures."""
        shown = (*self.images, *self.explanations)
        return sum(len(image.thumbnail) + len(image.picture) for image in shown)
