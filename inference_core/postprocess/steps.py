"""The steps that a model package names, in its order, and what each of them did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from inference_core.errors import ConfigError
from inference_core.postprocess.classes import check_mask, foreground_classes
from inference_core.postprocess.components import (
    Rule,
    at_border,
    beyond_largest,
    larger_than,
    remove_components,
    smaller_than,
)
from inference_core.postprocess.effects import class_effects
from inference_core.postprocess.holes import fill_class_holes
from inference_core.postprocess.morphology import close_classes, open_classes
from inference_core.records import Uint8Array
from inference_core.results import StepEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskStep:
    """One step, as the package declares it."""

    name: str
    """Of what is built in; of a function, its import path."""
    value: bool | int = True
    """Pixels or a count; false turns a step off that is a switch."""
    class_ids: tuple[int, ...] | None = None
    """Classes that it may change; None for all but the background."""
    function: Callable[[Uint8Array], Uint8Array] | None = None
    """Of the user's: takes (H, W) uint8 class ids, gives the same, and checks itself what it gives."""

    @property
    def number(self) -> int | None:
        """The value where it is one; None for switches and functions."""
        return None if isinstance(self.value, bool) else self.value


def apply_steps(
    mask: Uint8Array, *, steps: Iterable[MaskStep], background: int = 0
) -> tuple[Uint8Array, tuple[StepEffect, ...]]:
    """Clean a mask.

    Each step sees what the one before left. What a class loses becomes background, and what it gains was background.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        steps: in order.
        background: class id of what is removed, never itself changed by opening or removal.

    Returns:
        (H, W) uint8, the argument itself without steps; and the effect of each step.

    Raises:
        ConfigError: a step is not known or its value is out of range.
        ShapeError: mask is not (H, W) uint8.
    """
    check_mask(mask)
    effects = []
    present: Collection[int] | None = None  # built-in steps bring no class that is not there already
    for step in steps:
        before = mask
        num_components: Mapping[int, int] = {}
        if step.function is not None:
            mask, present = step.function(mask), None
        else:
            present = foreground_classes(mask, background=background) if present is None else present
            chosen = present if step.class_ids is None else set(present) & set(step.class_ids)
            mask, num_components = apply_step(mask, step=step, class_ids=chosen, background=background)
        classes = class_effects(before, mask, num_components=num_components, background=background)
        effects.append(StepEffect(name=step.name, value=step.number, classes=classes))
    return mask, tuple(effects)


def apply_step(
    mask: Uint8Array, *, step: MaskStep, class_ids: Collection[int], background: int
) -> tuple[Uint8Array, Mapping[int, int]]:
    """One built-in step on some classes: the mask, and the components or holes that it counted by class id."""
    name, value = step.name, step.value
    if value is False:
        return mask, {}
    if (rule := rule_of(name, value)) is not None:
        return remove_components(mask, rule=rule, class_ids=class_ids, background=background)
    if name == "fill_holes":
        return fill_class_holes(mask, max_hole_px=step.number, class_ids=class_ids, background=background)
    if name == "open_px":
        return open_classes(mask, diameter_px=value, class_ids=class_ids, background=background), {}
    if name == "close_px":
        return close_classes(mask, diameter_px=value, class_ids=class_ids, background=background), {}
    raise ConfigError(
        "postprocess step must be min_area_px, max_area_px, keep_largest, clear_border, fill_holes, open_px or "
        f"close_px, got {name!r}; correct the name"
    )


def rule_of(name: str, value: int) -> Rule | None:
    """Which components a step removes; None where it is no such step."""
    match name:
        case "min_area_px":
            return smaller_than(value)
        case "max_area_px":
            return larger_than(value)
        case "keep_largest":
            return beyond_largest(value)
        case "clear_border":
            return at_border
        case _:
            return None
