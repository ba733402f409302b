"""The merged answer of forwards that give features: their weighted mean."""

from __future__ import annotations

from collections.abc import Iterable

from inference_core.engines.protocol import Array
from inference_core.enhance.forwards import Seen
from inference_core.enhance.merge_scores import ScoreMerge
from inference_core.tasks.merged_spec import MERGED


class FeatureAnswer:
    """Merges the features of embedding models."""

    def merge(self, forwards: Iterable[Seen]) -> dict[str, Array]:
        """``merged`` (B, D) features, the weighted mean, before they are scaled to length 1."""
        mean = ScoreMerge("mean", competes=False)
        for seen in forwards:
            mean.add(seen.answer, weight=seen.weight)
        return {MERGED: mean.scores}
