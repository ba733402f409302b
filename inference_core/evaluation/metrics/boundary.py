"""How well the outlines of masks lie on those of the truth."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

TOLERANCE_FRAC = 0.0075
"""Of the image's diagonal: outlines that are so far apart are the same."""


def tolerance_of(image_hw: tuple[int, int]) -> int:
    """Pixels between two outlines that count as the same; one at least.

    Source: Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013, section 2.2.
    """
    return max(1, round(TOLERANCE_FRAC * math.hypot(*image_hw)))


def boundary_f(
    truth: NDArray[np.integer], found: NDArray[np.integer], *, num_classes: int, tolerance_px: int | None = None
) -> NDArray[np.float64]:
    """F1 of outlines, of each class in one image.

    Args:
        truth: (H, W) class ids; values from ``num_classes`` on, and below 0, are no label, and count in no outline.
        found: (H, W) class ids in [0, num_classes).
        num_classes: K.
        tolerance_px: a pixel of one outline is right where the other has one within so many; None for the usual.

    Returns:
        (K,) float64; nan for a class that is in neither, 0 for one that is in one of them alone.

    Cost: four passes over the image for each class in it.
    """
    radius = tolerance_of((truth.shape[0], truth.shape[1])) if tolerance_px is None else tolerance_px
    is_labelled = (truth >= 0) & (truth < num_classes)
    scores = np.full(num_classes, np.nan)
    present = np.union1d(np.unique(truth[is_labelled]), np.unique(found[is_labelled]))
    for class_id in present.tolist():
        own, answer = (outline((part == class_id) & is_labelled) & is_labelled for part in (truth, found))
        scores[class_id] = outline_f(own, answer, radius_px=radius)
    return scores


def outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) bool: the pixels of a mask that touch, along an edge, one that is not in it; an image's edge is none."""
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    return mask & ~inner


def outline_f(own: NDArray[np.bool_], answer: NDArray[np.bool_], *, radius_px: int) -> float:
    """F1 of two outlines; 1 where both are empty, as those of masks that fill the image."""
    num_own, num_answer = np.count_nonzero(own), np.count_nonzero(answer)
    if not num_own and not num_answer:
        return 1.0
    precision = np.count_nonzero(answer & grown(own, radius_px)) / num_answer if num_answer else 0.0
    recall = np.count_nonzero(own & grown(answer, radius_px)) / num_own if num_own else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def grown(mask: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """The pixels whose distance from a mask is at most ``radius_px``."""
    reach = np.arange(-radius_px, radius_px + 1)
    disc = (reach[:, None] ** 2 + reach[None] ** 2 <= radius_px**2).astype(np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc, borderType=cv2.BORDER_CONSTANT, borderValue=0)) > 0
