"""Results of every task that tests draw."""

from __future__ import annotations

import numpy as np

from inference_core.records import Uint8Array
from inference_core.results import Classification, Detection, Embedding, MultiLabel, Segmentation


def segmentation(mask: Uint8Array, *, scores: Uint8Array | None = None, num_classes: int = 3) -> Segmentation:
    """Of a mask; all pixels are certain unless said otherwise."""
    return Segmentation(
        mask=mask,
        scores=np.full_like(mask, 255) if scores is None else scores,
        class_pixels=np.bincount(mask.ravel(), minlength=num_classes).astype(np.int64),
        class_scores=np.ones(num_classes, np.float32),
        labels=tuple("abcdefgh"[:num_classes]),
    )


def detection(*boxes: tuple[float, float, float, float], labels: tuple[str, ...] | None = None) -> Detection:
    """Of boxes of class 0, each with a score of 0.5."""
    return Detection(
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(len(boxes), 0.5, np.float32),
        class_ids=np.zeros(len(boxes), np.int32),
        labels=labels or ("cat",) * len(boxes),
    )


def classification(*scores: float, labels: tuple[str, ...] | None = None) -> Classification:
    """Of falling scores."""
    return Classification(
        class_ids=np.arange(len(scores), dtype=np.int32),
        scores=np.array(scores, np.float32),
        labels=labels or tuple(f"class {index}" for index in range(len(scores))),
        entropy=0.5,
    )


def multilabel(*scores: float, num_shown: int) -> MultiLabel:
    """Of falling scores, the first of which are shown."""
    top = classification(*scores)
    return MultiLabel(
        class_ids=top.class_ids[:num_shown],
        scores=top.scores[:num_shown],
        labels=top.labels[:num_shown],
        top_class_ids=top.class_ids,
        top_scores=top.scores,
        top_labels=top.labels,
    )


def embedding() -> Embedding:
    """Of four numbers."""
    return Embedding(vector=np.ones(4, np.float32), norm=2.0)
