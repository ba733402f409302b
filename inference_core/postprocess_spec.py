"""What a package says of the steps on finished masks, and of the components that are measured behind them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from inference_core.hook_spec import HookSpec, read_hook
from inference_core.validation import HOOK_TAG, STEP_TAG, Frozen, PositiveInt, single_item

StepName = Literal["min_area_px", "max_area_px", "keep_largest", "clear_border", "fill_holes", "open_px", "close_px"]

SWITCHES = ("fill_holes", "clear_border")
"""Steps that are turned on with true; ``fill_holes`` may also be given a number."""
DISCS = ("open_px", "close_px")
"""Steps whose value is a diameter."""
MAX_DISC_PX = 1001
"""The time of a step grows with the disc's area."""
CLASSES_KEY = "classes"
"""Beside a step's name in the file."""


class PostprocessSpec(Frozen):
    """One step on the mask in the image's own pixels."""

    name: StepName
    value: bool | int
    """Pixels, or how many components; for ``fill_holes`` and ``clear_border`` true or false."""
    classes: tuple[str, ...] = ()
    """Only these; none names all but the background."""

    @field_validator("value", mode="before")
    @classmethod
    def _check_value(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.data.get("name")  # absent where the name itself is wrong
        is_switch, is_whole = isinstance(value, bool), isinstance(value, int) and not isinstance(value, bool)
        if name == "clear_border" and not is_switch:
            raise ValueError(f"{name} must be true or false, got {value!r}; correct it")
        if name == "fill_holes" and not is_switch and not (is_whole and value >= 1):
            raise ValueError(f"{name} must be true, false or the largest hole in pixels, got {value!r}; correct it")
        if name not in SWITCHES and not (is_whole and value >= 1):
            raise ValueError(f"{name or 'value'} must be a whole number of at least 1, got {value!r}; correct it")
        if name in DISCS and value % 2 == 0:
            raise ValueError(f"{name} must be odd, the diameter of a disc, got {value}; take one more or less")
        if name in DISCS and value > MAX_DISC_PX:
            raise ValueError(f"{name} must be at most {MAX_DISC_PX}, got {value}; take a smaller disc")
        return value


def kind_of_step(step: Any) -> str:
    """What tells hooks from built-in steps."""
    name = step.get("name") if isinstance(step, dict) else getattr(step, "name", None)
    return HOOK_TAG if name == HOOK_TAG else STEP_TAG


StepSpec = Annotated[
    Annotated[PostprocessSpec, Tag(STEP_TAG)] | Annotated[HookSpec, Tag(HOOK_TAG)], Discriminator(kind_of_step)
]


class ComponentsSpec(Frozen):
    """Segmentation: connected components of the finished mask, measured."""

    max_count: Annotated[int, Field(gt=0, le=10_000)] = 100
    """How many of an image's components its row holds, the largest first; all are counted."""
    min_area_px: PositiveInt = 1
    """Smaller ones are neither held nor counted."""
    classes: tuple[str, ...] = ()
    """Only of these; none names all but the background."""


def read_postprocess(entry: Any) -> Any:
    """``{min_area_px: 64, classes: [vessel]}`` or ``{import: ...}`` as the fields of a step."""
    entry = read_hook(entry)
    if isinstance(entry, PostprocessSpec | HookSpec) or (isinstance(entry, dict) and "name" in entry):
        return entry
    named = {CLASSES_KEY: entry[CLASSES_KEY]} if isinstance(entry, dict) and CLASSES_KEY in entry else {}
    step = {key: value for key, value in entry.items() if key != CLASSES_KEY} if named else entry
    name, value = single_item(step, "a postprocess step must be")
    return {"name": name, "value": value, **named}


def check_steps(steps: Sequence[StepSpec], components: ComponentsSpec | None, *, classes: Sequence[str]) -> None:
    """Raise ValueError where a step or the components name what is no class that they could change.

    Args:
        steps: of the package; hooks name none.
        components: of the package.
        classes: its names, the background first.
    """
    for index, step in enumerate(steps):
        if isinstance(step, PostprocessSpec):
            check_classes(f"postprocess.{index}.classes", step.classes, known=classes)
    if components is not None:
        check_classes("components.classes", components.classes, known=classes)


def check_classes(key: str, named: Sequence[str], *, known: Sequence[str]) -> None:
    """Raise ValueError unless ``named`` are distinct classes behind the first, which is the background."""
    doubles = sorted({name for name in named if named.count(name) > 1})
    if doubles:
        raise ValueError(f"{key} must name each class once, got {', '.join(doubles[:5])} more than once; remove one")
    for name in named:
        if name == known[0]:
            raise ValueError(f"{key} must not name {name}, which is the background, class 0; remove it")
        if name not in known:
            near = difflib.get_close_matches(name, known[1:], n=1)
            fix = f"did you mean {near[0]}?" if near else f"classes here: {', '.join(known[1:6])}"
            raise ValueError(f"{key} must name classes of the package, got {name}; {fix}")
