"""A step of the user's on a finished answer: a record in, a record of the same kind out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from inference_core.errors import InferError
from inference_core.hooks.function import HookFunction
from inference_core.hooks.guest_values import read_only_record
from inference_core.records import describe_value
from inference_core.results import Classification, Result

NAMED_PARTS = ("", "top_")
"""Prefixes of the fields ``class_ids``, ``scores`` and ``labels`` of a record, which belong together."""


class HookRecordStep:
    """Calls a function on a Classification, MultiLabel, Detection or Embedding and checks what it gives.

    Args:
        function: takes the record, whose arrays are read-only; gives one of the same kind.
        classes: names by class id.
    """

    def __init__(self, function: HookFunction, *, classes: Sequence[str]) -> None:
        self._function = function
        self._classes = classes

    def __call__(self, result: Result) -> Result:
        """The changed record.

        Raises:
            InputError: the function raised something, or gave something else.
        """
        found = self._function(read_only_record(result))
        problem = next(find_problems(result, found, classes=self._classes), None)
        if problem is not None:
            raise InferError(f"{self._function.name} must give {problem}; correct the function")
        numbers = {field.name: getattr(found, field.name) for field in fields(found)}
        # NumPy's numbers cannot be written as JSON.
        plain: dict[str, Any] = {name: float(one) for name, one in numbers.items() if isinstance(one, np.floating)}
        return replace(found, **plain)  # type: ignore[no-any-return]


def find_problems(given: Result, found: Any, *, classes: Sequence[str]) -> Iterator[str]:
    """What keeps a record from being one that the task itself could have made: what it must be, and what it is."""
    if type(found) is not type(given):
        yield f"a {type(given).__name__}, as it got, got {type(found).__name__}"
        return
    for field in fields(given):
        yield from array_problems(field.name, getattr(given, field.name), getattr(found, field.name))
    for prefix in NAMED_PARTS:
        if hasattr(given, f"{prefix}class_ids"):
            parts = (getattr(found, f"{prefix}{name}") for name in ("class_ids", "scores", "labels"))
            yield from named_problems(prefix, *parts, classes=classes)
    best = found.class_ids if isinstance(found, Classification) else getattr(found, "top_class_ids", None)
    if best is not None and not len(best):
        yield "at least one class, got none"


def array_problems(name: str, given: Any, found: Any) -> Iterator[str]:
    """What is wrong with one field of a record."""
    if isinstance(given, float):
        if not isinstance(found, float | int | np.floating) or not np.isfinite(found):
            yield f"a finite number as {name}, got {describe_value(found)[:80]}"
    elif not isinstance(given, np.ndarray):
        if type(found) is not type(given):
            yield f"{name} as {type(given).__name__}, got {describe_value(found)[:80]}"
    elif not isinstance(found, np.ndarray) or found.dtype != given.dtype or found.ndim != given.ndim:
        yield f"{name} as {given.ndim}-D {given.dtype}, got {describe_value(found)[:80]}"
    elif not np.isfinite(found).all():
        yield f"finite {name}, got inf or nan"


def named_problems(prefix: str, class_ids: Any, scores: Any, labels: Any, *, classes: Sequence[str]) -> Iterator[str]:
    """What is wrong with classes, their scores and their names."""
    if not len(class_ids) == len(scores) == len(labels):
        yield (
            f"as many {prefix}class_ids as {prefix}scores and {prefix}labels, got {len(class_ids)}, {len(scores)} "
            f"and {len(labels)}"
        )
    elif len(class_ids) and not (class_ids.min() >= 0 and class_ids.max() < len(classes)):
        yield f"{prefix}class_ids from 0 to {len(classes) - 1}, got {int(class_ids.min())} to {int(class_ids.max())}"
    elif tuple(labels) != tuple(classes[index] for index in class_ids):
        yield f"{prefix}labels that are the names of {prefix}class_ids, got {describe_value(tuple(labels))[:80]}"
    elif np.any(np.diff(scores) > 0):
        yield f"{prefix}scores in descending order; sort them, class_ids and labels with them"
