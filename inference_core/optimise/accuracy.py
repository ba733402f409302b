"""How right answers are, where labels are given: pure functions on predictions and truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inference_core.items import Prediction
from inference_core.results import Classification, MultiLabel, Segmentation

NUM_BEST = 5
"""Top-k of the second figure of a classification; fewer where the package keeps fewer."""

Scorer = Callable[[Sequence[Prediction]], dict[str, float]]
"""Figures in [0, 1] by name; answers to images without a label are left out, failed ones are wrong."""


def score_classes(predictions: Sequence[Prediction], truth: Mapping[str, int]) -> dict[str, float]:
    """Share of images whose class is the best answer, and among the best five.

    Args:
        predictions: of a classification.
        truth: class id by image id.
    """
    hits = {1: 0, NUM_BEST: 0}
    labelled = [one for one in predictions if one.source.image_id in truth]
    for one in labelled:
        if isinstance(one.result, Classification):
            best = one.result.class_ids.tolist()
            for count in hits:
                hits[count] += truth[one.source.image_id] in best[:count]
    return {f"top-{count}": number / max(len(labelled), 1) for count, number in hits.items()}


def score_labels(predictions: Sequence[Prediction], truth: Mapping[str, frozenset[int]]) -> dict[str, float]:
    """F1 over all labels of all images together.

    Args:
        predictions: of a multi-label model, with its thresholds.
        truth: class ids by image id.
    """
    right = given = wanted = 0
    for one in predictions:
        if one.source.image_id not in truth:
            continue
        own = truth[one.source.image_id]
        found = set(one.result.class_ids.tolist()) if isinstance(one.result, MultiLabel) else set()
        right, given, wanted = right + len(found & own), given + len(found), wanted + len(own)
    return {"F1": 2 * right / (given + wanted) if given + wanted else 1.0}


def score_masks(
    predictions: Sequence[Prediction], read_mask: Callable[[str], NDArray[np.integer] | None], *, num_classes: int
) -> dict[str, float]:
    """Mean over classes of intersection over union, over the pixels of all images together.

    Args:
        predictions: of a segmentation.
        read_mask: (H, W) class ids of an image id, None without a mask; values from ``num_classes`` on, and below 0,
            do not count.
        num_classes: background included.
    """
    shared, either = np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64)
    for one in predictions:
        mask = read_mask(one.source.image_id)
        if mask is None:
            continue
        counted = (mask >= 0) & (mask < num_classes)
        own = mask[counted]
        found = one.result.mask[counted] if isinstance(one.result, Segmentation) else np.full_like(own, num_classes)
        for class_id in range(num_classes):
            one_of, other = own == class_id, found == class_id
            shared[class_id] += np.count_nonzero(one_of & other)
            either[class_id] += np.count_nonzero(one_of | other)
    present = either > 0
    return {"mIoU": float(np.mean(shared[present] / either[present])) if present.any() else 1.0}
