"""Scores of several forwards as one, folded one after the other in constant memory."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace, device

from inference_core.engines.protocol import Array
from inference_core.enhance_spec import Merge
from inference_core.tasks.outputs import sigmoid

TINY = float(np.finfo(np.float32).tiny)
"""Scores below have no logarithm; they count as this."""
STEP = 2.0**-24
"""The least distance of a score from 1. A score that does not compete counts as no nearer to 0 or 1, else one that was
rounded to 1 would outweigh all others."""


class ScoreMerge:
    """Folds the scores of forwards.

    Args:
        merge: ``mean``, weighted. ``geometric``: the weighted mean of logarithms, or of logits where scores do not
            compete. ``max``: the best score of each class, whatever the weights. ``vote``: the share of the weights of
            those forwards whose best class it is, or that give it its threshold.
        competes: whether scores share 1 among the classes: then so do merged ones.
        thresholds: (K,) least score of a class that counts as a vote for it, where scores do not compete.
    """

    def __init__(self, merge: Merge, *, competes: bool, thresholds: tuple[float, ...] = ()) -> None:
        self._merge = merge
        self._competes = competes
        self._thresholds = thresholds
        self._weight = 0.0
        self._folded: Array = None
        self._total: Array = None  # (B, 1, ...) what the scores of competing classes sum to

    def add(self, scores: Array, *, weight: float) -> None:
        """Fold the scores of a forward.

        Args:
            scores: (B, K, ...) float32, not modified.
            weight: above 0.
        """
        xp = array_namespace(scores)
        value, total = self._value(scores), self._sum(scores)
        self._weight += weight
        if self._folded is None:
            self._folded, self._total = value, total
        elif self._merge == "max":
            self._folded = xp.maximum(self._folded, value)
        else:  # the mean moves by its share of the difference: that of equal values is equal to them
            self._folded = self._folded + (value - self._folded) * (weight / self._weight)
        if total is not None:
            self._total = self._total + (total - self._total) * (weight / self._weight)

    @property
    def scores(self) -> Array:
        """(B, K, ...) float32: the forwards so far as one."""
        xp = array_namespace(self._folded)
        if self._merge in ("mean", "vote") or (self._merge == "max" and not self._competes):
            return self._folded
        if not self._competes:
            return sigmoid(self._folded)
        if self._merge == "geometric":
            powers = xp.exp(self._folded - xp.max(self._folded, axis=1, keepdims=True))
            return powers * (self._total / xp.sum(powers, axis=1, keepdims=True))
        total = xp.sum(self._folded, axis=1, keepdims=True)
        return self._folded * (self._total / xp.where(total > 0, total, xp.ones_like(total)))

    def _value(self, scores: Array) -> Array:
        """What of a forward's scores is folded."""
        xp = array_namespace(scores)
        if self._merge == "geometric":
            if self._competes:
                return xp.log(xp.clip(scores, TINY, None))
            return xp.log(xp.clip(scores, STEP, None)) - xp.log(xp.clip(1.0 - scores, STEP, None))
        return self._votes(scores) if self._merge == "vote" else scores

    def _sum(self, scores: Array) -> Array | None:
        """What competing scores sum to: 1, or less where outputs that are no classes were left out."""
        if not self._competes or self._merge not in ("geometric", "max"):
            return None
        return array_namespace(scores).sum(scores, axis=1, keepdims=True)

    def _votes(self, scores: Array) -> Array:
        """1 for the classes that a forward decides for, 0 for the others, NaN where a score is."""
        xp = array_namespace(scores)
        shape = (1, scores.shape[1], *(1 for _ in scores.shape[2:]))
        if self._competes:
            known = xp.reshape(xp.arange(scores.shape[1], device=device(scores)), shape)
            votes = known == xp.argmax(scores, axis=1, keepdims=True)
        else:
            least = xp.asarray(self._thresholds, dtype=xp.float32, device=device(scores))
            votes = scores >= xp.reshape(least, shape)
        return xp.where(xp.isfinite(scores), xp.astype(votes, xp.float32), scores)
