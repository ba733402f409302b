"""What each class got: images, objects, pixels and mean score."""

from __future__ import annotations

from dataclasses import dataclass
from operator import add

import numpy as np
from numpy.typing import NDArray

from inference_core.stats.fixed_point import REAL_BITS, mean_of_fixed
from inference_core.stats.json_record import NO_EXTRA, Count


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """Integer sums by class. Merging is exact, associative and commutative."""

    __pydantic_config__ = NO_EXTRA

    images: tuple[Count, ...]
    """(K,) images that got the class: as the best one, over its threshold, or in at least one box or pixel."""
    objects: tuple[Count, ...]
    """(K,) boxes of the class; 0 but for detection."""
    pixels: tuple[Count, ...]
    """(K,) pixels of the class; 0 but for segmentation."""
    score_totals: tuple[Count, ...]
    """(K,) sum over ``images`` of the class's score, times 2^32."""

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.objects) == len(self.pixels) == len(self.score_totals):
            raise ValueError("images, objects, pixels and score_totals must have one entry for each class")

    @classmethod
    def empty(cls, num_classes: int) -> ClassCounts:
        """Nothing seen of ``num_classes`` classes."""
        zeros = (0,) * num_classes
        return cls(images=zeros, objects=zeros, pixels=zeros, score_totals=zeros)

    @classmethod
    def of(
        cls,
        class_ids: NDArray[np.int64],
        *,
        objects: NDArray[np.int64],
        pixels: NDArray[np.int64],
        scores: NDArray[np.float64],
        num_classes: int,
    ) -> ClassCounts:
        """Fold N finds of a class in an image.

        Args:
            class_ids: (N,) in [0, num_classes).
            objects: (N,) boxes of the class in that image; zeros but for detection.
            pixels: (N,) pixels of the class in that image; zeros but for segmentation.
            scores: (N,) in [0, 1]; a score that is not finite counts as 0.
            num_classes: K.

        Raises:
            ValueError: a class id is out of range.
        """
        if class_ids.size and not 0 <= class_ids.min() <= class_ids.max() < num_classes:
            bad = class_ids[(class_ids < 0) | (class_ids >= num_classes)][0]
            raise ValueError(f"class_id must be in [0, {num_classes}), got {bad}; class_names must be the model's")
        fixed = np.rint(np.ldexp(np.clip(np.where(np.isfinite(scores), scores, 0.0), 0.0, 1.0), REAL_BITS))
        return cls(
            images=tuple(np.bincount(class_ids, minlength=num_classes).tolist()),
            objects=_sum_by_class(objects, class_ids, num_classes),
            pixels=_sum_by_class(pixels, class_ids, num_classes),
            score_totals=_sum_by_class(fixed.astype(np.int64), class_ids, num_classes),
        )

    def merge(self, other: ClassCounts) -> ClassCounts:
        """The counts of both, which must be of the same classes."""
        return ClassCounts(
            images=tuple(map(add, self.images, other.images)),
            objects=tuple(map(add, self.objects, other.objects)),
            pixels=tuple(map(add, self.pixels, other.pixels)),
            score_totals=tuple(map(add, self.score_totals, other.score_totals)),
        )

    def score_mean(self, class_id: int) -> float | None:
        """Mean score over the images that got the class, each image counting once; None where none did."""
        return mean_of_fixed(self.score_totals[class_id], count=self.images[class_id], fraction_bits=REAL_BITS)


def _sum_by_class(values: NDArray[np.int64], class_ids: NDArray[np.int64], num_classes: int) -> tuple[int, ...]:
    totals = np.zeros(num_classes, dtype=np.int64)  # np.bincount would sum in floats
    np.add.at(totals, class_ids, values)
    return tuple(totals.tolist())
