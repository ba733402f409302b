"""The answer that a committed row holds, as the record that was written into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inference_core.export.kept_planes import read_kept_mask
from inference_core.output_spec import TaskName
from inference_core.results import Classification, Detection, InstanceMask, MultiLabel, Result, Segmentation

Row = Mapping[str, Any]


def result_of_row(row: Row, *, task: TaskName, class_names: Sequence[str], output: str) -> Result | None:
    """What can be drawn of a row.

    Args:
        row: with status ok, by column name.
        task: of the run.
        class_names: (K,) of the run.
        output: the run's folder or prefix, where masks are.

    Returns:
        The answer; the scores of a mask's pixels, which rows do not hold, are 0. None where nothing can be drawn: of an
        embedding, and of a mask that was not kept.

    Raises:
        JobError: a mask is gone or damaged.
    """
    match task:
        case "classification":
            return classification_of(row)
        case "multilabel":
            return multilabel_of(row)
        case "detection":
            return detection_of(row)
        case "segmentation":
            return segmentation_of(row, class_names=class_names, output=output)
        case "embedding":
            return None


def classification_of(row: Row) -> Classification:
    """The best classes."""
    top = row["top_k"]
    return Classification(
        class_ids=np.array([entry["class_id"] for entry in top], np.int32),
        scores=np.array([entry["score"] for entry in top], np.float32),
        labels=tuple(entry["label"] for entry in top),
        entropy=row["entropy"],
    )


def multilabel_of(row: Row) -> MultiLabel:
    """The classes that are shown, and the best ones."""
    top = row["top_k"]
    return MultiLabel(
        class_ids=np.array(row["class_ids"], np.int32),
        scores=np.array(row["scores"], np.float32),
        labels=tuple(row["labels"]),
        top_class_ids=np.array([entry["class_id"] for entry in top], np.int32),
        top_scores=np.array([entry["score"] for entry in top], np.float32),
        top_labels=tuple(entry["label"] for entry in top),
    )


def detection_of(row: Row) -> Detection:
    """The objects, with their masks where the row holds them."""
    objects = row["objects"]
    has_masks = bool(objects) and all(entry.get("mask") for entry in objects)
    return Detection(
        boxes_xyxy=np.array(
            [[entry[name] for name in ("x_min", "y_min", "x_max", "y_max")] for entry in objects], np.float32
        ).reshape(-1, 4),
        scores=np.array([entry["score"] for entry in objects], np.float32),
        class_ids=np.array([entry["class_id"] for entry in objects], np.int32),
        labels=tuple(entry["label"] for entry in objects),
        masks=tuple(instance_mask(entry) for entry in objects) if has_masks else None,
    )


def instance_mask(entry: Row) -> InstanceMask:
    """The pixels of an object."""
    height, width = entry["mask"]["size"]
    return InstanceMask(size_hw=(height, width), counts=entry["mask"]["counts"], area_px=entry["mask_area_px"])


def segmentation_of(row: Row, *, class_names: Sequence[str], output: str) -> Segmentation | None:
    """The mask, None where none was kept."""
    mask = read_kept_mask(output, row)
    if mask is None:
        return None
    pixels, scores = np.zeros(len(class_names), np.int64), np.zeros(len(class_names), np.float32)
    for entry in row["classes"]:
        pixels[entry["class_id"]], scores[entry["class_id"]] = entry["pixels"], entry["score"]
    return Segmentation(
        mask=mask,
        scores=np.zeros(mask.shape, np.uint8),
        class_pixels=pixels,
        class_scores=scores,
        labels=tuple(class_names),
    )
