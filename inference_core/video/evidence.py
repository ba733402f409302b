"""How far each class shows in a frame, as one number between 0 and 1, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from inference_core.output_spec import TaskName
from inference_core.records import FloatArray

DEFAULT_THRESHOLDS: dict[TaskName, float] = {
    "classification": 0.5,
    "multilabel": 0.5,
    "detection": 0.25,
    "segmentation": 0.01,
}
"""From where on a class is said to show."""


def evidence_of_row(row: Mapping[str, Any], *, task: TaskName, num_classes: int) -> FloatArray:
    """(K,) float32 of one frame.

    Classification and multi-label: the scores of the classes that the row holds, which are the ``output.top_k`` best.
    Detection: the score of the best object. Segmentation: the share of pixels; that of class 0, the background, is 0.

    Args:
        row: with status ok, by column name.
        task: of the model.
        num_classes: K.
    """
    evidence = np.zeros(num_classes, np.float32)
    if task in ("classification", "multilabel"):
        for entry in row["top_k"]:
            evidence[entry["class_id"]] = entry["score"]
    elif task == "detection":
        for entry in row["objects"]:
            evidence[entry["class_id"]] = max(evidence[entry["class_id"]], entry["score"])
    elif task == "segmentation":
        for entry in row["classes"]:
            evidence[entry["class_id"]] = entry["frac"] if entry["class_id"] else 0.0
    return evidence
