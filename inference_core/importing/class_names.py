"""Class names: their number against the model's, and the gap where there are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from inference_core.errors import ConfigError
from inference_core.importing.draft import Gap

WITH_BACKGROUND = (1001, 1000)
"""Outputs and names of ImageNet models of TensorFlow, the first of whose outputs has no name. One name too few of
another number is a mistake more often."""


def class_gap(count: int | None) -> Gap:
    """The gap of class names; ``count`` None where their number is not known."""
    number = "" if count is None else f", {count} of them"
    return Gap(
        key="classes",
        reason=f"names in the order of the output{number}: a list, or a text file with one a line",
        example="classes.txt",
    )


def fit_classes(count: int, *, given: Mapping[str, Any], allows_skip: bool = False) -> tuple[int, tuple[Gap, ...]]:
    """Leading outputs that have no name though the user does not say so, and the gap where there are no names at all.

    Args:
        count: outputs of the model.
        given: the user's facts by dotted key.
        allows_skip: whether the first of the outputs may be a background without a name.

    Raises:
        ConfigError: the number of names does not fit.
    """
    names = given.get("classes")
    if names is None:
        return 0, (class_gap(count),)
    said = given.get("output.skip_classes")
    is_background = said is None and allows_skip and (count, len(names)) == WITH_BACKGROUND
    skip = 1 if is_background else 0
    if len(names) + (said or skip) != count:
        near = len(names) == count - 1 and allows_skip
        remedy = "correct the list" + (", or set output.skip_classes=1 if the first is a background" if near else "")
        raise ConfigError(
            f"must have one name for each of the model's {count} classes, got {len(names)} names; {remedy}",
            key="classes",
        )
    return skip, ()


def distinct(names: Sequence[str]) -> list[str]:
    """Names of which none stands twice: equal ones get their position behind them."""
    counts = Counter(names)
    return [f"{name} ({index})" if counts[name] > 1 else name for index, name in enumerate(names)]
