"""Weighted boxes fusion: boxes of several forwards that show the same object become one, between them all.

Source: Solovyev, Wang and Gabruseva, Weighted boxes fusion: Ensembling boxes from different object detection models,
Image and Vision Computing 107, 2021, section 3; its scores are rescaled as in equation 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.records import FloatArray, Int32Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """Boxes of one tile on the CPU."""

    boxes_xyxy: FloatArray
    """(N, 4) float32."""
    scores: FloatArray
    """(N,) float32."""
    class_ids: Int32Array
    """(N,) int32."""
    carried: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """(N, ...) by name, what else belongs to each box."""


def fuse_boxes(forwards: Sequence[Boxes], *, weights: Sequence[float], iou_threshold: float) -> Boxes:
    """The objects that forwards see.

    Boxes of all forwards, those of the highest weighted score first, join the object of their class whose box so far
    they overlap most, if by more than the threshold; else they begin one. An object's box is the mean of its boxes by
    weighted score. Its score is the mean weighted score of its boxes times the number of its boxes, at most that of the
    forwards, over the sum of all weights: what few forwards see has a low one. What is carried, such as masks, is that
    of its best box.

    Args:
        forwards: what each saw; boxes without area are left out. Not modified.
        weights: of the forwards, above 0.
        iou_threshold: from 0 to 1.

    Returns:
        Best first; equal scores by class id, then by the first box.

    Cost: time by boxes times objects of a class.
    """
    joined = join_boxes(forwards)
    boxes, scores, rows = gather(joined, forwards, weights=weights)
    class_ids = joined.class_ids[rows]
    fused: list[tuple[NDArray[np.float64], float, int, int]] = []
    for class_id in np.unique(class_ids).tolist():
        of_class = np.flatnonzero(class_ids == class_id)
        for group in cluster(boxes[of_class], scores[of_class], iou_threshold=iou_threshold):
            members = of_class[group]
            own_boxes, own_scores = boxes[members], scores[members]
            share = min(len(forwards), len(members)) / sum(weights)
            best = int(rows[members[0]])
            fused.append((mean_box(own_boxes, own_scores), float(own_scores.mean()) * share, class_id, best))
    fused.sort(key=lambda one: (-one[1], one[2]))
    best_rows = np.array([row for *_, row in fused], np.int64)
    return Boxes(
        boxes_xyxy=np.array([box for box, *_ in fused], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, *_ in fused], np.float32),
        class_ids=joined.class_ids[best_rows],
        carried={name: array[best_rows] for name, array in joined.carried.items()},
    )


def join_boxes(forwards: Sequence[Boxes]) -> Boxes:
    """The boxes of all forwards behind each other."""
    return Boxes(
        boxes_xyxy=np.concatenate([one.boxes_xyxy for one in forwards]),
        scores=np.concatenate([one.scores for one in forwards]),
        class_ids=np.concatenate([one.class_ids for one in forwards]),
        carried={name: np.concatenate([one.carried[name] for one in forwards]) for name in forwards[0].carried},
    )


def gather(
    joined: Boxes, forwards: Sequence[Boxes], *, weights: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """The boxes with area, their weighted scores and their rows, the best first; equal ones in order."""
    boxes = joined.boxes_xyxy.astype(np.float64)
    weight_of_box = np.repeat(np.asarray(weights, np.float64), [len(one.scores) for one in forwards])
    scores = joined.scores.astype(np.float64) * weight_of_box
    has_area = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    kept = np.flatnonzero(has_area)
    rows = kept[np.argsort(-scores[kept], kind="stable")]
    return boxes[rows], scores[rows], rows


def cluster(boxes: NDArray[np.float64], scores: NDArray[np.float64], *, iou_threshold: float) -> list[list[int]]:
    """Positions of the boxes of each object, of boxes of one class, best first."""
    groups: list[list[int]] = []
    fused = np.empty((len(boxes), 4))
    for index, box in enumerate(boxes):
        ious = iou_with(fused[: len(groups)], box)
        best = int(ious.argmax()) if len(groups) else -1
        if best < 0 or ious[best] <= iou_threshold:
            fused[len(groups)] = box
            groups.append([index])
            continue
        groups[best].append(index)
        fused[best] = mean_box(boxes[groups[best]], scores[groups[best]])
    return groups


def mean_box(boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4,) mean of (N, 4) boxes by score; the plain one where all scores are 0."""
    total = scores.sum()
    weights = scores / total if total > 0 else np.full(len(scores), 1 / len(scores))
    return np.asarray(weights @ boxes)


def iou_with(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) intersection over union of (N, 4) boxes with one; all have area."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(shared / (areas + (box[2:] - box[:2]).prod() - shared))
