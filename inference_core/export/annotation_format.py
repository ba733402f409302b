"""Which formats of annotations there are, and which tasks each has a place for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from inference_core.errors import ConfigError
from inference_core.output_spec import TaskName

AnnotationFormat = Literal["coco", "yolo", "voc", "labelstudio", "fiftyone"]
TableFormat = Literal["csv", "jsonl"]
FORMATS: tuple[str, ...] = (*get_args(AnnotationFormat), *get_args(TableFormat))

SHAPES: tuple[TaskName, ...] = ("detection", "segmentation")
TASKS: Mapping[str, tuple[TaskName, ...]] = MappingProxyType(
    {
        "coco": SHAPES,
        "yolo": SHAPES,
        "voc": SHAPES,
        "labelstudio": (*SHAPES, "classification", "multilabel"),
        "fiftyone": (*SHAPES, "classification", "multilabel"),
        "csv": get_args(TaskName),
        "jsonl": get_args(TaskName),
    }
)


def check_format(name: str, *, task: TaskName, key: str) -> None:
    """Raise ConfigError of ``key`` unless the format exists and has a place for answers of the task."""
    if name not in FORMATS:
        raise ConfigError(f"must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got {name!r}; correct it", key=key)
    if task not in TASKS[name]:
        able = [other for other in FORMATS if task in TASKS[other]]
        raise ConfigError(f"must have a place for {task}, got {name}; take {' or '.join(able)}", key=key)
