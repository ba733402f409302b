"""How far two answers to the same image differ: raw outputs by value, predictions by what they decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.items import Prediction
from inference_core.output_spec import TaskName
from inference_core.results import Classification, Detection, Embedding, MultiLabel, Result, Segmentation

Decision = NDArray[Any]
"""What an answer decides, without its scores; see ``decision_of``."""

MIN_IOU = 0.5
"""Two boxes of one class that overlap at least so much are the same object."""


def largest_difference(expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> float | None:
    """Largest absolute difference of outputs, paired in order, since engines name them differently.

    Returns:
        None where shapes differ or a difference is not finite.
    """
    pairs = list(zip(expected.values(), found.values(), strict=False))
    if len(expected) != len(found) or any(one.shape != other.shape for one, other in pairs):
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = [np.abs(one.astype(np.float64) - other).max(initial=0.0) for one, other in pairs]
    largest = max(gaps, default=0.0)
    return float(largest) if np.isfinite(gaps).all() else None


def disagreement(expected: Prediction, found: Prediction) -> float:
    """How far two answers for one image differ in what they decide, from 0 to 1; scores do not count.

    The label of a classification, the share of pixels of a mask, the share of labels or of objects that only one of
    them has, one minus the cosine between two embeddings. 1 where only one of them is an answer.
    """
    if expected.result is None or found.result is None:
        return float(expected.is_ok != found.is_ok)
    if type(expected.result) is not type(found.result):
        return 1.0
    return decision_gap(
        decision_of(expected.result), decision_of(found.result), task=TASK_OF_RESULT[type(expected.result)]
    )


def decision_of(result: Result) -> Decision:
    """What an answer decides.

    Returns:
        (1,) int32 best class of a classification; (n,) int32 labels of a multi-label answer; (N, 5) float32 class id
        and box of each object; (H, W) uint8 mask; (D,) float32 embedding.
    """
    match result:
        case Classification():
            return result.class_ids[:1]
        case MultiLabel():
            return result.class_ids
        case Detection():
            return np.column_stack([result.class_ids.astype(np.float32), result.boxes_xyxy])
        case Segmentation():
            return result.mask
        case Embedding():
            return result.vector


def decision_gap(expected: Decision, found: Decision, *, task: TaskName) -> float:
    """How far two decisions of one task differ, from 0 to 1; see ``disagreement``."""
    return GAPS[task](expected, found)


def unequal_frac(one: Decision, other: Decision) -> float:
    """Share of values that differ; 1 where the shapes do."""
    return float(np.mean(one != other)) if one.shape == other.shape else 1.0


def unshared_frac(one: Decision, other: Decision) -> float:
    """Share of the members of two multisets that are not in both; 0 for two empty ones."""
    left, right = Counter(one.tolist()), Counter(other.tolist())
    together = (left | right).total()
    return 1 - (left & right).total() / together if together else 0.0


def unpaired_frac(one: Decision, other: Decision) -> float:
    """Share of objects without a partner of the same class and place among the others; 0 for two empty lists.

    Args:
        one: (N, 5) class id and box.
        other: (M, 5).
    """
    ious = np.where(one[:, None, 0] == other[None, :, 0], box_ious(one[:, 1:], other[:, 1:]), 0.0)  # (N, M)
    num_pairs = 0
    # The closest first. Who pairs with whom is hardly ever in doubt: boxes of one answer overlap less than this.
    while ious.size and ious.max() >= MIN_IOU:
        row, column = np.unravel_index(ious.argmax(), ious.shape)
        ious[row], ious[:, column] = 0.0, 0.0
        num_pairs += 1
    together = len(one) + len(other) - num_pairs
    return 1 - num_pairs / together if together else 0.0


def box_ious(one_xyxy: Decision, other_xyxy: Decision) -> NDArray[np.float64]:
    """(N, M) intersection over union of (N, 4) and (M, 4) boxes."""
    ours, theirs = one_xyxy[:, None].astype(np.float64), other_xyxy[None].astype(np.float64)
    sides = np.minimum(ours[..., 2:], theirs[..., 2:]) - np.maximum(ours[..., :2], theirs[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=2)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=2) for boxes in (ours, theirs)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, np.finfo(np.float64).tiny))


def turned_frac(one: Decision, other: Decision) -> float:
    """One minus the cosine between two vectors, at most 1; two of length 0 are equal."""
    if one.shape != other.shape:
        return 1.0
    ours, theirs = one.astype(np.float64), other.astype(np.float64)
    length = np.linalg.norm(ours) * np.linalg.norm(theirs)
    if length == 0:
        return float(ours.any() or theirs.any())
    return float(np.clip(1 - ours @ theirs / length, 0, 1))


GAPS: Mapping[TaskName, Callable[[Decision, Decision], float]] = MappingProxyType(
    {
        "classification": unequal_frac,
        "multilabel": unshared_frac,
        "detection": unpaired_frac,
        "segmentation": unequal_frac,
        "embedding": turned_frac,
    }
)
TASK_OF_RESULT: Mapping[type[Result], TaskName] = MappingProxyType(
    {
        Classification: "classification",
        MultiLabel: "multilabel",
        Detection: "detection",
        Segmentation: "segmentation",
        Embedding: "embedding",
    }
)
