"""One explanation of an ensemble, from those of its members, which meet in the image's own pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from inference_core.explain.explanation import Explanation
from inference_core.records import FloatArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemberPart:
    """What one member says."""

    weight: float
    """Its share of all members' weights."""
    explanation: Explanation


def merge_explanations(parts: Sequence[MemberPart], *, keeps_units: bool) -> Explanation:
    """The weighted sum of members' explanations; class, score and box are still the first member's.

    Args:
        parts: of the members that show what is explained, at least one; not modified.
        keeps_units: whether heatmaps of several models are on one scale. Others are divided by their largest size
            before they are weighed, so that no member counts more for having larger numbers.
    """
    first = parts[0].explanation
    scales = [1.0 if keeps_units else scale_of(part.explanation.heatmap) for part in parts]
    heatmap = sum_weighted(parts, scales)

    def total(read: Callable[[Explanation], float]) -> float:
        return sum(part.weight * read(part.explanation) for part in parts)

    is_path = first.method == "integrated_gradients"
    return replace(
        first,
        heatmap=heatmap,
        layer=joined([part.explanation.layer for part in parts]),
        value=total(lambda one: one.value),
        baseline=same([part.explanation.baseline for part in parts]),
        baseline_value=total(lambda one: one.baseline_value or 0.0) if is_path else None,
        total=total(lambda one: one.total),
        convergence_delta=total(lambda one: one.convergence_delta or 0.0) if is_path else None,
        window_px=max((part.explanation.window_px for part in parts if part.explanation.window_px), default=None),
        engine=joined([part.explanation.engine for part in parts]),
    )


def sum_weighted(parts: Sequence[MemberPart], scales: Sequence[float]) -> FloatArray:
    """(H, W) float32, the sum of heatmaps times weight and scale."""
    heatmap = np.zeros(parts[0].explanation.heatmap.shape, np.float64)
    for part, scale in zip(parts, scales, strict=True):
        heatmap += part.explanation.heatmap * (part.weight * scale)
    return heatmap.astype(np.float32)


def scale_of(heatmap: FloatArray) -> float:
    """One divided by the largest size; 1 where there is nothing."""
    largest = float(np.abs(heatmap).max(initial=0.0))
    return 1.0 / largest if largest > 0 else 1.0


def joined(texts: Sequence[str]) -> str:
    """Different texts, each once."""
    return "; ".join(dict.fromkeys(text for text in texts if text))


def same(values: Sequence[T]) -> T | None:
    """What all have in common, None where they differ."""
    return values[0] if all(value == values[0] for value in values) else None
