"""Counts by name: of statuses, formats and decoders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc


def tally_of(column: Any) -> dict[str, int]:
    """How often each text of an Arrow column occurs, by name; null counts as ``""``."""
    counts: Counter[str] = Counter()
    for entry in pc.value_counts(column).to_pylist():
        counts[entry["values"] or ""] += entry["counts"]
    return dict(sorted(counts.items()))


def merge_tallies(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    """The counts of both, by name. Exact, associative and commutative."""
    return {key: a.get(key, 0) + b.get(key, 0) for key in sorted({*a, *b})}
