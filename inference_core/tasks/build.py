"""The task of a package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from inference_core.output_spec import TaskName
from inference_core.spec import ModelSpec
from inference_core.tasks.classification import ClassificationTask
from inference_core.tasks.detection import DetectionTask
from inference_core.tasks.embedding import EmbeddingTask
from inference_core.tasks.multilabel import MultiLabelTask
from inference_core.tasks.protocol import Task
from inference_core.tasks.segmentation import SegmentationTask

TASKS: Mapping[TaskName, Callable[[ModelSpec], Task]] = MappingProxyType(
    {
        "classification": ClassificationTask,
        "multilabel": MultiLabelTask,
        "detection": DetectionTask,
        "segmentation": SegmentationTask,
        "embedding": EmbeddingTask,
    }
)


def build_task(spec: ModelSpec) -> Task:
    """The task that the spec names."""
    return TASKS[spec.task](spec)
