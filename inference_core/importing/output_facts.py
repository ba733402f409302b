"""What the outputs of a probed model tell: the task, the activation and the number of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.importing.class_names import class_gap, fit_classes
from inference_core.importing.detection_facts import draft_detection
from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.importing.probe import Probed

TASK_GAP = Gap(
    key="task",
    reason="what the model answers: classification, multilabel, detection, segmentation or embedding",
    example="classification",
)
TOLERANCE, QUANTISED_TOLERANCE = 0.01, 0.1
"""By how much the sum of shares may miss 1: half precision, and rounding to 1/256."""
SEEN = "outputs of drawn images"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputTraits:
    """What else is known of a model's outputs."""

    size_hw: tuple[int, int]
    """Of the input at which they were made."""
    ending: str | None = None
    """``softmax`` or ``sigmoid`` where the graph was seen to end so."""
    step: float = 0.0
    """Of a quantised output: what neighbouring integers differ by."""


def draft_outputs(outputs: Probed | None, *, traits: OutputTraits, given: Mapping[str, Any]) -> Draft:
    """The facts about outputs, with gaps for what they do not tell.

    Args:
        outputs: see ``probe``; None where the model could not be run yet.
        traits: what else is known.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: the user names more or fewer classes than the model has.
    """
    if not outputs:
        return without_outputs(given)
    if is_detection_possible(given):
        found = draft_detection(outputs, size_hw=traits.size_hw, given=given)
        if found is not None:
            return found
    named = given.get("output.name")
    name = named if named in outputs else next(iter(outputs))
    draft = draft_scores(outputs[name], traits=traits, given=given)
    if len(outputs) == 1 or named is not None:
        return draft
    shapes = ", ".join(f"{key} {list(array.shape[1:])}" for key, array in outputs.items())
    first = Fact(key="output.name", value=name, origin=f"the first of {len(outputs)} outputs ({shapes}, per image)")
    return Draft(found=draft.found, assumed=(*draft.assumed, first), missing=draft.missing)


def is_detection_possible(given: Mapping[str, Any]) -> bool:
    """Whether the user leaves it open that the model is a detector."""
    return given.get("task") in (None, "detection") and "output.name" not in given


def without_outputs(given: Mapping[str, Any]) -> Draft:
    """Nothing is known but what the user says."""
    missing = [] if "task" in given else [TASK_GAP]
    if given.get("task") != "embedding" and "classes" not in given:
        missing.append(class_gap(None))
    return Draft(found=(), missing=tuple(missing))


def draft_scores(values: NDArray[Any], *, traits: OutputTraits, given: Mapping[str, Any]) -> Draft:
    """One output that holds a score for each class, of the image or of each of its pixels."""
    if values.ndim > 2 and np.prod(values.shape[2:]) == 1:
        values = values.reshape(values.shape[:2])
    if values.ndim == 2:
        return draft_vector(values, traits=traits, given=given)
    axis = class_axis(values, size_hw=traits.size_hw)
    if axis is not None or is_class_map(values, size_hw=traits.size_hw):
        return draft_planes(values, axis=axis, traits=traits, given=given)
    if given.get("task") == "embedding":
        return Draft(found=())
    gap = Gap(
        key=TASK_GAP.key,
        reason=f"{TASK_GAP.reason}; an output of shape {list(values.shape[1:])} per image fits none by itself",
        example=TASK_GAP.example,
    )
    return Draft(found=(), missing=(gap, *(() if "classes" in given else (class_gap(None),))))


def draft_vector(values: NDArray[Any], *, traits: OutputTraits, given: Mapping[str, Any]) -> Draft:
    """(B, K): classification, or multi-label where the values are shares that do not sum to 1."""
    kind = seen_kind(values, axis=1, traits=traits)
    guess = "multilabel" if kind == "sigmoid" else "classification"
    task = str(given.get("task", guess))
    count = values.shape[1]
    assumed = [Fact(key="task", value=guess, origin=f"an output of {count} values per image{reason_of(kind)}")]
    if task == "embedding":
        return Draft(found=(), assumed=tuple(assumed))
    usual = "sigmoid" if task == "multilabel" else "softmax"
    activation = Fact(key="output.activation", value="none" if kind else usual, origin=activation_origin(kind, traits))
    skip, missing = fit_classes(count, given=given, allows_skip=task == "classification")
    assumed += [Fact(key="output.skip_classes", value=skip, origin=skip_origin(count))] if skip else []
    if kind and traits.ending:
        return Draft(found=(activation,), assumed=tuple(assumed), missing=missing)
    return Draft(found=(), assumed=(*assumed, activation), missing=missing)


def draft_planes(values: NDArray[Any], *, axis: int | None, traits: OutputTraits, given: Mapping[str, Any]) -> Draft:
    """(B, K, h, w), (B, h, w, K) or (B, h, w): segmentation; without ``axis`` one plane, or class ids."""
    origin = f"an output of {list(values.shape[1:])} per image"
    task = Fact(key="task", value="segmentation", origin=origin)
    if np.issubdtype(values.dtype, np.integer):
        return Draft(found=(), assumed=(task,), missing=() if "classes" in given else (class_gap(None),))
    count = 1 if axis is None else values.shape[axis]
    layout = [Fact(key="output.layout", value="BHWC", origin=origin)] if axis == 3 else []
    kind = seen_kind(values, axis=axis, traits=traits)
    if kind == "sigmoid" and count > 1 and not traits.ending:
        kind = None  # planes whose values happen to lie between 0 and 1: they compete all the same
    usual = "sigmoid" if count == 1 else "softmax"
    activation = Fact(key="output.activation", value="none" if kind else usual, origin=activation_origin(kind, traits))
    _, missing = fit_classes(2 if count == 1 else count, given=given)
    return Draft(found=tuple(layout), assumed=(task, activation), missing=missing)


def class_axis(values: NDArray[Any], *, size_hw: tuple[int, int]) -> int | None:
    """The axis of the classes in planes of the image's proportions: 1, 3, or None."""
    if values.ndim != 4:
        return None
    return 1 if is_plane(values.shape[2:4], size_hw) else 3 if is_plane(values.shape[1:3], size_hw) else None


def is_class_map(values: NDArray[Any], *, size_hw: tuple[int, int]) -> bool:
    """Whether values are one plane for each image."""
    return values.ndim == 3 and is_plane(values.shape[1:3], size_hw)


def is_plane(shape: tuple[int, ...], size_hw: tuple[int, int]) -> bool:
    """Whether a shape is that of the image, or of a coarser grid over it."""
    ratios = [own / full for own, full in zip(shape, size_hw, strict=True)]
    # Rounding up gives a coarse map of 65 cells for 513 pixels.
    return all(own > 1 for own in shape) and max(ratios) <= 1.01 and abs(ratios[0] - ratios[1]) <= 0.05 * max(ratios)


def seen_kind(values: NDArray[Any], *, axis: int | None, traits: OutputTraits) -> str | None:
    """``kind_of_scores``; what the graph ends with says which, where the values do not speak against it."""
    kind = kind_of_scores(values, axis=axis, step=traits.step)
    return traits.ending or kind if kind else None


def kind_of_scores(values: NDArray[Any], *, axis: int | None, step: float) -> str | None:
    """``softmax`` where values are shares that sum to 1, ``sigmoid`` where they are other shares, else None.

    Args:
        values: real numbers.
        axis: of the classes, None for one plane.
        step: of quantised values, 0 for others.
    """
    if not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
        return None
    if values.min() < -step or values.max() > 1 + step:
        return None
    if axis is None or values.shape[axis] == 1:
        return "sigmoid"
    sums = values.sum(axis=axis, dtype=np.float64)
    if step > 0:  # small shares were rounded to nothing
        return "softmax" if sums.min() > 0 and sums.max() <= 1 + QUANTISED_TOLERANCE else "sigmoid"
    return "softmax" if np.abs(sums - 1).max() <= TOLERANCE else "sigmoid"


def reason_of(kind: str | None) -> str:
    """What the values add to a guess."""
    return {"softmax": " that sum to 1", "sigmoid": " between 0 and 1 that do not sum to 1"}.get(kind or "", "")


def activation_origin(kind: str | None, traits: OutputTraits) -> str:
    """Why scores get the activation that they get."""
    if kind and traits.ending:
        return f"the graph ends with {traits.ending}"
    return f"{SEEN} are {'shares already' if kind else 'no shares yet'}"


def skip_origin(count: int) -> str:
    """Why a leading output is left out."""
    return f"{count} outputs for {count - 1} names: the first is a background"
