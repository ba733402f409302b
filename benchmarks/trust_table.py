"""What the studies of ``benchmarks.numbers_to_trust`` are given, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    study: str
    what: str
    before: str
    after: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What every study is given."""

    assets: Path
    folder: Path
    """For packages."""
    seeds: int
    """Divisions of the images into two parts."""
    repeats: int
    """Of what is timed."""


Study = Callable[[Setting], Iterator[Row]]
