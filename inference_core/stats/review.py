"""The images that a person should look at first: those with the lowest scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inference_core.stats.json_record import NO_EXTRA, Finite, Integer, Text

REVIEW_SIZE = 50
"""How many images are kept."""


@dataclass(frozen=True, slots=True, order=True)
class ReviewEntry:
    """One image. Entries order by score, then by the other fields, so that equal scores leave no choice."""

    __pydantic_config__ = NO_EXTRA

    score: Finite
    image_id: Text
    uri: Text
    class_id: Integer
    """The predicted class, -1 for segmentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewQueue:
    """The 50 smallest entries seen. Keeping the smallest of a total order merges in any order."""

    __pydantic_config__ = NO_EXTRA

    entries: tuple[ReviewEntry, ...]
    """At most 50, rising."""

    def __post_init__(self) -> None:
        if len(self.entries) > REVIEW_SIZE or any(a > b for a, b in pairwise(self.entries)):
            raise ValueError(f"entries must be at most {REVIEW_SIZE} and rising, got {len(self.entries)}")

    @classmethod
    def empty(cls) -> ReviewQueue:
        """No image seen."""
        return cls(entries=())

    @classmethod
    def of(
        cls,
        scores: NDArray[np.float64],
        *,
        image_ids: Sequence[str],
        uris: Sequence[str],
        class_ids: Sequence[int],
    ) -> ReviewQueue:
        """Fold N images; one whose score is not finite is left out.

        Args:
            scores: (N,) of the predictions.
            image_ids: N stable keys.
            uris: N origins.
            class_ids: N predicted classes, -1 for segmentation.
        """
        finite = np.flatnonzero(np.isfinite(scores))
        if finite.size > REVIEW_SIZE:  # spares building an entry for each image
            limit = np.partition(scores[finite], REVIEW_SIZE - 1)[REVIEW_SIZE - 1]
            finite = finite[scores[finite] <= limit]
        candidates = (ReviewEntry(float(scores[i]), image_ids[i], uris[i], class_ids[i]) for i in finite.tolist())
        return cls(entries=tuple(nsmallest(REVIEW_SIZE, candidates)))

    def merge(self, other: ReviewQueue) -> ReviewQueue:
        """The lowest of both. Exact, associative and commutative."""
        return ReviewQueue(entries=tuple(nsmallest(REVIEW_SIZE, self.entries + other.entries)))
