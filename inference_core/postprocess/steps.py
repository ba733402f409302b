"""The steps that a model package names, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inference_core.errors import ConfigError
from inference_core.postprocess.classes import check_mask
from inference_core.postprocess.components import remove_small_components
from inference_core.postprocess.morphology import close_classes, fill_class_holes, open_classes
from inference_core.records import Uint8Array

MaskStep = tuple[str, int] | Callable[[Uint8Array], Uint8Array]
"""A built-in step's name and value, or a function of (H, W) uint8 class ids that gives the same."""


def apply_steps(mask: Uint8Array, *, steps: Iterable[MaskStep], background: int = 0) -> Uint8Array:
    """Clean a mask.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        steps: names with their value: ``min_area_px`` (pixels), ``fill_holes`` (true, or false for nothing),
            ``open_px`` and ``close_px`` (diameter of the disc, odd). Or functions, which check themselves what they
            give.
        background: class id of what is removed, never itself changed by opening or removal.

    Returns:
        (H, W) uint8; the argument itself without steps.

    Raises:
        ConfigError: a step is not known or its value is out of range.
        ShapeError: mask is not (H, W) uint8.
    """
    check_mask(mask)
    for step in steps:
        if callable(step):
            mask = step(mask)
            continue
        name, value = step
        mask = _apply_step(mask, name=name, value=value, background=background)
    return mask


def _apply_step(mask: Uint8Array, *, name: str, value: int, background: int) -> Uint8Array:
    if name == "min_area_px":
        return remove_small_components(mask, min_area_px=value, background=background)
    if name == "fill_holes":
        return fill_class_holes(mask, background=background) if value else mask
    if name == "open_px":
        return open_classes(mask, diameter_px=value, background=background)
    if name == "close_px":
        return close_classes(mask, diameter_px=value, background=background)
    raise ConfigError(
        f"postprocess step must be min_area_px, fill_holes, open_px or close_px, got {name!r}; correct the name"
    )
