"""How masks cover their truth: intersection over union, and Dice, from pixels counted image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelCounts:
    """Pixels of each class in one image or in several together; pixels without a label are left out."""

    shared: NDArray[np.int64]
    """(..., K) of the class in both."""
    true: NDArray[np.int64]
    """(..., K) labelled with the class."""
    found: NDArray[np.int64]
    """(..., K) answered with it."""

    @property
    def iou(self) -> Reals:
        """(..., K) intersection over union; nan where the class is in neither."""
        return ratio(self.shared, self.true + self.found - self.shared)

    @property
    def dice(self) -> Reals:
        """(..., K) twice the intersection over the sum, which is F1 of pixels; nan where the class is in neither."""
        return ratio(2 * self.shared, self.true + self.found)

    @property
    def pixel_accuracy(self) -> Reals:
        """(...) share of pixels that are right; nan without a labelled pixel."""
        return ratio(self.shared.sum(axis=-1), self.true.sum(axis=-1))

    def of_images(self, weights: NDArray[np.int64]) -> PixelCounts:
        """The counts of (N, K) images together, each as often as ``weights`` (N,) say."""
        return PixelCounts(shared=weights @ self.shared, true=weights @ self.true, found=weights @ self.found)


def count_pixels(truth: NDArray[np.integer], found: NDArray[np.integer], *, num_classes: int) -> PixelCounts:
    """Count the pixels of one image.

    Args:
        truth: (H, W) class ids; values from ``num_classes`` on, and below 0, are no label.
        found: (H, W) class ids in [0, num_classes).
        num_classes: K, background included.
    """
    counted = (truth >= 0) & (truth < num_classes)
    own, answer = truth[counted].astype(np.int64), found[counted].astype(np.int64)
    return PixelCounts(
        shared=np.bincount(own[own == answer], minlength=num_classes),
        true=np.bincount(own, minlength=num_classes),
        found=np.bincount(answer, minlength=num_classes),
    )


def stack_counts(counts: list[PixelCounts], *, num_classes: int) -> PixelCounts:
    """The counts of N images as (N, K)."""
    empty = np.zeros((0, num_classes), np.int64)
    names = ("shared", "true", "found")
    parts = {name: np.stack([getattr(one, name) for one in counts]) if counts else empty for name in names}
    return PixelCounts(**parts)


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Reals:
    """``part / whole``, nan where that is nothing."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
