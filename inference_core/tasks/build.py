"""The task of a package."""

from __future__ import annotations

from inference_core.spec import ModelSpec
from inference_core.tasks.classification import ClassificationTask
from inference_core.tasks.protocol import Task
from inference_core.tasks.segmentation import SegmentationTask


def build_task(spec: ModelSpec) -> Task:
    """The task that the spec names."""
    return ClassificationTask(spec) if spec.task == "classification" else SegmentationTask(spec)
