"""How far the raw outputs of two engines are apart, absolute and as a share of what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.agreement import largest_difference

Outputs = Mapping[str, NDArray[Any]]


def difference(expected: Outputs, found: Outputs) -> float | None:
    """Largest absolute difference of any output; None where shapes differ or a difference is not finite."""
    return largest_difference(*paired(expected, found))


def relative_difference(expected: Outputs, found: Outputs) -> float | None:
    """Likewise, of each output as a share of its largest magnitude."""
    if len(expected) != len(found):
        return None
    one, other = paired(expected, found)
    return worst(
        [share_of(largest_difference({"": a}, {"": b}), a) for a, b in zip(one.values(), other.values(), strict=True)]
    )


def share_of(gap: float | None, output: NDArray[Any]) -> float | None:
    """A difference as a share of an output's largest magnitude; as it is where the output is 0 everywhere."""
    return None if gap is None else gap / (float(np.abs(output).max(initial=0.0)) or 1.0)


def paired(expected: Outputs, found: Outputs) -> tuple[Outputs, Outputs]:
    """Both in one order, by name where the names are the same, and cut to the fewest images: graphs fix their batch."""
    if set(expected) == set(found):
        found = {name: found[name] for name in expected}
    count = min((len(output) for output in (*expected.values(), *found.values()) if output.ndim), default=0)
    return tuple(
        {name: value[:count] if value.ndim else value for name, value in side.items()} for side in (expected, found)
    )  # type: ignore[return-value]


def worst(differences: Sequence[float | None]) -> float | None:
    """The largest, None where one is."""
    known = [gap for gap in differences if gap is not None]
    return max(known, default=0.0) if len(known) == len(differences) else None
