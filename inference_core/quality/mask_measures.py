"""Numbers that describe the shape of a mask: where classes meet, how they hang together, how many regions there are."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.records import Uint8Array


def boundary_band(mask: Uint8Array, *, radius_px: int) -> Uint8Array:
    """(H, W) uint8, 1 where a pixel of another class lies at most ``radius_px`` rows and columns away.

    Args:
        mask: (H, W) uint8 class ids, not modified.
        radius_px: at least 1. What lies outside the image does not count.
    """
    window = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)
    band: Uint8Array = (cv2.dilate(mask, window) != cv2.erode(mask, window)).view(np.uint8)
    return band


def coherence_of(mask: Uint8Array, class_pixels: NDArray[np.int64]) -> float | None:
    """Moran's I of a mask: how much more alike pixels are to those beside them than to any other.

    1 is one straight edge in a large image, 0 is noise, -1 a chessboard. Of K classes it is the I of their indicators
    taken together, which of two classes is the I of one of them.

    Args:
        mask: (H, W) uint8 class ids, not modified.
        class_pixels: (K,) pixels of each class.

    Returns:
        In [-1, 1]; None where there is a single class, or a single pixel.

    Source: Moran, Notes on continuous stochastic phenomena, Biometrika 1950, with rook contiguity and equal weights.
    """
    height, width = mask.shape
    num_pairs = height * (width - 1) + (height - 1) * width
    shares = class_pixels / (height * width)  # (K,)
    sum_sq = float(shares @ shares)
    if not num_pairs or np.count_nonzero(class_pixels) < 2:
        return None
    num_equal = np.count_nonzero(mask[:, 1:] == mask[:, :-1]) + np.count_nonzero(mask[1:] == mask[:-1])
    # (K,) in how many pairs each class is: four for each pixel, less those that would lie outside of the image
    edges = [np.bincount(edge, minlength=len(shares)) for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1])]
    degrees = 4 * class_pixels - np.sum(edges, axis=0)
    covariance = num_equal - float(degrees @ shares) + num_pairs * sum_sq
    return float(np.clip(covariance / (num_pairs * (1 - sum_sq)), -1.0, 1.0))


def count_regions(mask: Uint8Array, *, class_ids: Sequence[int]) -> int:
    """Connected regions of classes; pixels of one class that touch at an edge or a corner belong together.

    Args:
        mask: (H, W) uint8 class ids, not modified.
        class_ids: to count.

    Cost: an int32 plane for one class at a time.
    """
    found = (cv2.connectedComponents((mask == class_id).view(np.uint8), connectivity=8)[0] for class_id in class_ids)
    return sum(count - 1 for count in found)
