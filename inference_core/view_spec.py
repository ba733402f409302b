"""The names of views: what is done to an image before one of several forwards, as ``hflip*rot90*scale:1.25``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

IDENTITY = "identity"
PRODUCT = "*"
SCALE = "scale:"
QUARTER_TURNS = {"rot90": 1, "rot180": 2, "rot270": 3}
"""Counter-clockwise, as ``numpy.rot90`` and ``torch.rot90`` count them."""
MIN_SCALE, MAX_SCALE = 0.25, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One of the eight ways to lay a rectangle on a grid, at some scale."""

    is_mirrored: bool = False
    """Whether left and right are exchanged, before the turn."""
    quarter_turns: int = 0
    """0 to 3, counter-clockwise."""
    scale: float = 1.0
    """Of both sides, after the turn."""

    @property
    def is_identity(self) -> bool:
        """Whether nothing is done."""
        return self == View()

    @property
    def swaps_sides(self) -> bool:
        """Whether height and width change places."""
        return self.quarter_turns % 2 == 1

    def turned(self, quarter_turns: int) -> View:
        """This view, and then so many quarter turns."""
        return replace(self, quarter_turns=(self.quarter_turns + quarter_turns) % 4)

    def mirrored(self) -> View:
        """This view, and then left and right exchanged: a turn that follows a mirror runs the other way round."""
        return replace(self, is_mirrored=not self.is_mirrored, quarter_turns=-self.quarter_turns % 4)


def parse_view(text: str) -> View:
    """The view of a name: factors behind each other, done from left to right.

    Args:
        text: ``identity``, ``hflip``, ``vflip``, ``rot90``, ``rot180``, ``rot270``, ``scale:FACTOR``, or several with
            ``*`` between them.

    Raises:
        ValueError: it is none.
    """
    view = View()
    for factor in text.split(PRODUCT):
        if factor == "hflip":
            view = view.mirrored()
        elif factor == "vflip":
            view = view.mirrored().turned(2)
        elif factor in QUARTER_TURNS:
            view = view.turned(QUARTER_TURNS[factor])
        elif factor.startswith(SCALE):
            view = replace(view, scale=view.scale * parse_scale(factor))
        elif factor != IDENTITY:
            raise ValueError(
                f"must be identity, hflip, vflip, rot90, rot180, rot270, scale:FACTOR or a product such as "
                f"hflip*rot90, got {text!r}; correct it"
            )
    return view


def parse_scale(factor: str) -> float:
    """The number of ``scale:1.25``."""
    try:
        scale = float(factor.removeprefix(SCALE))
    except ValueError:
        scale = math.nan
    if not MIN_SCALE <= scale <= MAX_SCALE:
        raise ValueError(f"scale must be from {MIN_SCALE} to {MAX_SCALE}, got {factor!r}; write scale:1.25")
    return scale


def check_views(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names with ``identity`` first, whether it was among them or not.

    Raises:
        ValueError: a name is none, or two are the same view.
    """
    found: dict[View, str] = {View(): IDENTITY}
    for name in names:
        view = parse_view(name)
        if view in found and (name != IDENTITY or names.count(IDENTITY) > 1):
            raise ValueError(f"must be different views, got {found[view]} and {name}, which are the same; remove one")
        found.setdefault(view, name)
    return tuple(found.values())
