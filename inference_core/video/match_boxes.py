"""Which box of one frame is which of another."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from inference_core.records import FloatArray, Int32Array
from inference_core.tasks.boxes import pairwise_iou

MIN_IOU = 0.3
"""Boxes that share less are of two objects."""


def match_boxes(
    ours_xyxy: FloatArray, our_class_ids: Int32Array, theirs_xyxy: FloatArray, their_class_ids: Int32Array
) -> list[tuple[int, int]]:
    """Pairs of boxes of one class, so that they share as much as can be all together.

    Args:
        ours_xyxy: (N, 4) float32.
        our_class_ids: (N,) int32.
        theirs_xyxy: (M, 4) float32.
        their_class_ids: (M,) int32.

    Returns:
        Positions in ours and theirs, by ours; each box is in one pair at most.
    """
    is_same = our_class_ids[:, None] == their_class_ids[None, :]
    ious = np.asarray(pairwise_iou(ours_xyxy, theirs_xyxy))
    worth = np.where(is_same & (ious >= MIN_IOU), ious, 0.0)  # (N, M)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if worth[row, column] > 0]
