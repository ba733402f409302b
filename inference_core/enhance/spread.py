"""How much several forwards agree: running mean, variance and entropies of their scores, in constant memory."""

from __future__ import annotations

import math

import numpy as np
from array_api_compat import array_namespace

from inference_core.engines.protocol import Array

TINY = float(np.finfo(np.float32).tiny)


class Spread:
    """Folds the scores of forwards, one after the other.

    Args:
        competes: whether the scores of an image or pixel share 1 among the classes; else each is a yes or no.
        tracks_variance: whether ``std`` is asked for.
        tracks_entropy: whether ``mutual_information`` is asked for.
    """

    def __init__(self, *, competes: bool, tracks_variance: bool = True, tracks_entropy: bool = True) -> None:
        self._competes = competes
        self._tracks_variance = tracks_variance
        self._tracks_entropy = tracks_entropy
        self._weight = 0.0
        self._mean: Array = None
        self._squares: Array = None  # weighted sum of squared differences from the mean
        self._entropies: Array = None

    def add(self, scores: Array, *, weight: float) -> None:
        """Fold the scores of a forward.

        Args:
            scores: (B, K, ...) float32, not modified.
            weight: above 0.
        """
        xp = array_namespace(scores)
        self._weight += weight
        if self._mean is None:
            self._mean = scores
            self._squares = xp.zeros_like(scores) if self._tracks_variance else None
            self._entropies = self._entropy(scores) * weight if self._tracks_entropy else None
            return
        difference = scores - self._mean
        self._mean = self._mean + difference * (weight / self._weight)
        if self._tracks_variance:
            self._squares = self._squares + difference * (scores - self._mean) * weight
        if self._tracks_entropy:
            self._entropies = self._entropies + self._entropy(scores) * weight

    @property
    def mean(self) -> Array:
        """(B, K, ...) weighted mean; that of equal scores is equal to them."""
        return self._mean

    @property
    def std(self) -> Array:
        """(B, K, ...) weighted standard deviation over the forwards, of each class."""
        xp = array_namespace(self._squares)
        return xp.sqrt(xp.clip(self._squares / self._weight, 0.0, None))

    @property
    def entropy(self) -> Array:
        """(B, ...) entropy of the mean over its maximum."""
        return self._entropy(self._mean)

    @property
    def mutual_information(self) -> Array:
        """(B, ...) entropy of the mean less the mean entropy, over the same maximum: how much the forwards disagree.

        Source: Houlsby et al., Bayesian Active Learning for Classification and Preference Learning, 2011, equation 2.
        """
        xp = array_namespace(self._mean)
        return xp.clip(self.entropy - self._entropies / self._weight, 0.0, 1.0)

    def _entropy(self, scores: Array) -> Array:
        """(B, ...) entropy over its maximum, of the classes together; else the mean of that of each."""
        xp = array_namespace(scores)
        if self._competes:
            return shannon(scores, axis=1) / math.log(max(scores.shape[1], 2))
        both = xp.stack([scores, 1.0 - scores], axis=1)  # (B, 2, K, ...)
        return xp.mean(shannon(both, axis=1), axis=1) / math.log(2)


def shannon(scores: Array, *, axis: int) -> Array:
    """Entropy in nats along an axis; scores of 0 add nothing."""
    xp = array_namespace(scores)
    return -xp.sum(scores * xp.log(xp.clip(scores, TINY, None)), axis=axis)
