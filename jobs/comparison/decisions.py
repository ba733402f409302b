"""What a row decides, in a form that two runs can be compared by, with the classes of either."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.agreement import Decision, decision_gap
from inference_core.errors import ConfigError
from inference_core.output_spec import TaskName
from jobs.plan import Plan

NO_CLASS = -1
"""Of a class that the first run's model does not have."""

DECISION_COLUMNS: Mapping[TaskName, tuple[str, ...]] = MappingProxyType(
    {
        "classification": ("class_id",),
        "multilabel": ("class_ids",),
        "detection": ("objects",),
        "segmentation": ("classes",),
        "embedding": ("embedding",),
    }
)
CORNERS = ("x_min", "y_min", "x_max", "y_max")


def class_table(first: Plan, second: Plan) -> NDArray[np.int64]:
    """(K,) the first run's class id of each class of the second, by name; NO_CLASS for one that it lacks.

    Raises:
        ConfigError: the tasks differ, or the runs have no class in common.
    """
    if first.task != second.task:
        raise ConfigError(f"must be two runs of one task, got {first.task} and {second.task}; nothing can be compared")
    ids = {name: index for index, name in enumerate(first.classes)}
    table = np.array([ids.get(name, NO_CLASS) for name in second.classes], np.int64)
    if len(table) and (table == NO_CLASS).all():
        raise ConfigError(
            f"must be runs with classes in common, got {', '.join(first.classes[:3])} and "
            f"{', '.join(second.classes[:3])}; nothing can be compared"
        )
    return table


def decisions_of(task: TaskName, row: Mapping[str, Any], table: NDArray[np.int64]) -> Decision:
    """What a row decides.

    Args:
        task: of the run.
        row: with the task's DECISION_COLUMNS.
        table: (K,) class ids to give instead of the row's own.
    """
    return READERS[task](row, table)


def gap_of(task: TaskName, one: Decision, other: Decision) -> float:
    """How far two decisions for one image differ, from 0 to 1.

    Of a segmentation, from the pixels of each class alone: the share of pixels that must have changed at least.
    """
    if task == "segmentation":
        return float(np.abs(one - other).sum() / 2) if len(one) == len(other) else 1.0
    return decision_gap(one, other, task=task)


def is_flip(task: TaskName, one: Decision, other: Decision, gap: float) -> bool:
    """Whether an image is answered otherwise: another class, other labels, other objects, another class with most
    pixels, a vector that points elsewhere.
    """
    if task == "segmentation":
        return bool(one.argmax() != other.argmax())
    return gap > MAX_TURN if task == "embedding" else gap > 0


MAX_TURN = 0.01
"""One minus the cosine between two vectors that still mean the same."""


def read_class(row: Mapping[str, Any], table: NDArray[np.int64]) -> Decision:
    """(1,) the best class."""
    return table[[row["class_id"]]]


def read_label_set(row: Mapping[str, Any], table: NDArray[np.int64]) -> Decision:
    """(n,) the labels."""
    return table[np.array(row["class_ids"], np.int64)]


def read_objects(row: Mapping[str, Any], table: NDArray[np.int64]) -> Decision:
    """(n, 5) class and corners of each object."""
    objects: Sequence[Mapping[str, Any]] = row["objects"]
    values = [[float(table[one["class_id"]]), *(one[name] for name in CORNERS)] for one in objects]
    return np.array(values, np.float32).reshape(-1, 5)


def read_shares(row: Mapping[str, Any], table: NDArray[np.int64]) -> Decision:
    """(K + 1,) share of the pixels of each class; last, of classes that the first run lacks."""
    shares = np.zeros(int(max(table.max(), len(table) - 1)) + 2)
    for one in row["classes"]:
        shares[table[one["class_id"]]] += one["frac"]
    return shares


def read_vector(row: Mapping[str, Any], table: NDArray[np.int64]) -> Decision:
    """(D,) the embedding."""
    return np.array(row["embedding"], np.float32)


READERS: Mapping[TaskName, Callable[[Mapping[str, Any], NDArray[np.int64]], Decision]] = MappingProxyType(
    {
        "classification": read_class,
        "multilabel": read_label_set,
        "detection": read_objects,
        "segmentation": read_shares,
        "embedding": read_vector,
    }
)
