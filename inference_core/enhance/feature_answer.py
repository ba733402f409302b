"""The merged answer of forwards that give features: the mean of views, the members of an ensemble side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.enhance.forwards import Seen
from inference_core.enhance.merge_scores import ScoreMerge
from inference_core.spec import ModelSpec
from inference_core.tasks.merged_spec import MERGED, merge_of


class FeatureAnswer:
    """Merges the features of embedding models.

    Args:
        spec: of the package that the forwards are of.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._merge = merge_of(spec)

    def merge(self, forwards: Iterable[Seen]) -> dict[str, Array]:
        """``merged`` (B, D) features before they are scaled to length 1.

        With ``mean`` the weighted mean. With ``concat`` the vectors of the members behind each other, each times the
        root of its share of the weights: where members scale theirs to length 1, so that the product of two such
        vectors, their cosine, is the weighted mean of the members' cosines.
        """
        if self._merge == "concat":
            return {MERGED: side_by_side(list(forwards))}
        mean = ScoreMerge("mean", competes=False)
        for seen in forwards:
            mean.add(seen.answer, weight=seen.weight)
        return {MERGED: mean.scores}


def side_by_side(forwards: list[Seen]) -> Array:
    """(B, sum of D) the vectors of members, each times the root of its share of the weights."""
    total = sum(seen.weight for seen in forwards)
    xp = array_namespace(forwards[0].answer)
    return xp.concat([seen.answer * math.sqrt(seen.weight / total) for seen in forwards], axis=1)
