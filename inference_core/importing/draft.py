"""What an importer knows of a model: the facts it found, those it assumed, and those that only the user knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One key of ``model.yaml`` with its value."""

    key: str
    """Dotted, e.g. ``input.size_hw``."""
    value: Any
    """Of YAML: plain lists, mappings, numbers and text."""
    origin: str
    """Where it was read, or why it may be assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One key that the source does not tell."""

    key: str
    """Dotted, e.g. ``input.mean``."""
    reason: str
    """Why it cannot be known, and where the user may find it."""
    example: str
    """A value as ``--set`` takes it behind ``key=``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A package that may not be whole yet."""

    found: tuple[Fact, ...]
    """Read in the source."""
    assumed: tuple[Fact, ...] = ()
    """Not in the source; usual for its kind."""
    missing: tuple[Gap, ...] = ()
    """Neither; without them there is no package."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """What lies in the package beside ``model.yaml``, by path."""

    def settings(self) -> dict[str, Any]:
        """Found and assumed facts as the nested mapping of a ``model.yaml``; what was found wins."""
        data: dict[str, Any] = {}
        for fact in (*self.assumed, *self.found):
            *parents, last = fact.key.split(".")
            target = data
            for parent in parents:
                target = target.setdefault(parent, {})
            target[last] = fact.value
        return data
