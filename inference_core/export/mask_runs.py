"""Segmentation masks as run lengths of their classes: a column of the rows instead of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from inference_core.records import Uint8Array
from inference_core.run_length import decode_mask, encode_window

BACKGROUND = 0
"""The class of pixels that no run holds."""
RUNS_TYPE = pa.list_(pa.struct([("class_id", pa.int32()), ("size", pa.list_(pa.int32())), ("counts", pa.string())]))
RUNS_FIELD = pa.field("mask_rle", RUNS_TYPE)
"""With ``results.masks: rle``: the pixels of each class that occurs but class 0, as COCO's compressed run lengths."""


def runs_of_mask(mask: Uint8Array) -> list[dict[str, Any]]:
    """The value of RUNS_FIELD of a mask.

    Args:
        mask: (H, W) uint8 class ids, not modified.

    Cost: a few arrays of the size of the box around each class.
    """
    height, width = mask.shape
    class_ids = np.flatnonzero(np.bincount(mask.ravel(), minlength=1))
    return [
        {"class_id": class_id, "size": [height, width], "counts": class_counts(mask, class_id)}
        for class_id in class_ids.tolist()
        if class_id != BACKGROUND
    ]


def class_counts(mask: Uint8Array, class_id: int) -> str:
    """The compressed run lengths of one class that occurs."""
    is_class = mask == class_id
    rows, columns = np.flatnonzero(is_class.any(axis=1)), np.flatnonzero(is_class.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    window = is_class[top : rows[-1] + 1, left : columns[-1] + 1]
    return encode_window(window, top_left_yx=(top, left), image_hw=(mask.shape[0], mask.shape[1]))


def mask_of_runs(runs: Iterable[Mapping[str, Any]], *, image_hw: Sequence[int]) -> Uint8Array:
    """The (H, W) uint8 class ids of RUNS_FIELD.

    Raises:
        ShapeError: a run is damaged, or of another size.
    """
    mask = np.full((image_hw[0], image_hw[1]), BACKGROUND, np.uint8)
    for run in runs:
        mask[decode_mask(run["counts"], image_hw=(image_hw[0], image_hw[1]))] = run["class_id"]
    return mask
