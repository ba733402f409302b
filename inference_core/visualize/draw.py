"""One picture of one result: the kinds there are, and which of them fits a task."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from inference_core.errors import ConfigError
from inference_core.output_spec import TaskName
from inference_core.records import Uint8Array, check_array
from inference_core.results import Classification, Detection, MultiLabel, Result, Segmentation
from inference_core.visualize.blend import ALPHA
from inference_core.visualize.boxes import draw_objects
from inference_core.visualize.charts import add_legend, draw_top_k
from inference_core.visualize.contours import draw_contours
from inference_core.visualize.grid import side_by_side
from inference_core.visualize.overlay import BACKGROUND, tint_classes
from inference_core.visualize.palette import DEFAULT_PALETTE, Palette
from inference_core.visualize.picture_size import MAX_SIDE_PX, working_copy
from inference_core.visualize.score_maps import draw_score_map, draw_uncertainty

Kind = Literal["overlay", "contours", "mask", "heatmap", "uncertainty", "boxes", "top_k", "side_by_side"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KINDS_OF: dict[TaskName, tuple[Kind, ...]] = {
    "classification": ("top_k",),
    "multilabel": ("top_k",),
    "detection": ("boxes", "side_by_side"),
    "segmentation": ("overlay", "contours", "mask", "heatmap", "uncertainty", "side_by_side"),
    "embedding": (),
}
"""What can be drawn of a task, the usual one first."""


def draw_result(
    pixels: Uint8Array,
    result: Result,
    *,
    kind: Kind | Literal["auto"] = "auto",
    alpha: float = ALPHA,
    palette: Palette = DEFAULT_PALETTE,
    has_legend: bool = True,
    max_side_px: int = MAX_SIDE_PX,
) -> Uint8Array:
    """A picture of a result.

    Args:
        pixels: (H, W, 3) uint8, upright, not modified.
        result: of the image, in the same pixels.
        kind: of KINDS; ``auto`` is the usual one of the task: the best classes as bars, boxes with names, or classes
            as tints with outlines.
        alpha: share of a class's colour in a pixel, in [0, 1].
        palette: colours of classes.
        has_legend: whether classes of a mask and scales of a map are explained beside it.
        max_side_px: a larger image is drawn on a smaller copy.

    Returns:
        (H', W', 3) uint8: the size of the image or its copy, and what stands beside it.

    Raises:
        ConfigError: the kind does not fit the result, or a number is out of range.
        ShapeError: the result is of an image of another size.
    """
    check_array("pixels", pixels, ndim=3, dtype=np.uint8)
    chosen = check_kind(kind, task=task_of(result))
    pixels, result = working_copy(pixels, result, max_side_px=max_side_px)
    if isinstance(result, Classification | MultiLabel):
        return draw_top_k(pixels, result)
    if isinstance(result, Detection):
        drawn = draw_objects(pixels, result, alpha=alpha, palette=palette)
        return side_by_side([pixels, drawn]) if chosen == "side_by_side" else drawn
    assert isinstance(result, Segmentation), "other tasks have no kinds"
    return draw_segmentation(pixels, result, kind=chosen, alpha=alpha, palette=palette, has_legend=has_legend)


def draw_segmentation(
    pixels: Uint8Array, result: Segmentation, *, kind: Kind, alpha: float, palette: Palette, has_legend: bool
) -> Uint8Array:
    """A picture of a mask or of its scores."""
    if kind == "heatmap":
        return draw_score_map(pixels, result, has_bar=has_legend)
    if kind == "uncertainty":
        return draw_uncertainty(pixels, result, has_bar=has_legend)
    if kind == "contours":
        drawn = draw_contours(pixels, result.mask, palette=palette)
    elif kind == "mask":
        drawn = tint_classes(pixels, result.mask, alpha=1.0, palette=palette, background=None)
    else:
        tinted = tint_classes(pixels, result.mask, alpha=alpha, palette=palette)
        drawn = draw_contours(tinted, result.mask, palette=palette)
    if kind == "side_by_side":
        drawn = side_by_side([pixels, drawn])
    background = None if kind == "mask" else BACKGROUND
    return add_legend(drawn, result, palette=palette, background=background) if has_legend else drawn


def draw_change(
    pixels: Uint8Array,
    before: Result,
    after: Result,
    *,
    titles: tuple[str, str] = ("before", "after"),
    alpha: float = ALPHA,
    palette: Palette = DEFAULT_PALETTE,
    max_side_px: int = MAX_SIDE_PX,
) -> Uint8Array:
    """Two results of an image side by side, as before and after post-processing.

    Args:
        pixels: (H, W, 3) uint8, upright, not modified.
        before: of the image.
        after: of the image.
        titles: what they are.
        alpha: share of a class's colour in a pixel, in [0, 1].
        palette: colours of classes.
        max_side_px: a larger image is drawn on a smaller copy.

    Raises:
        ConfigError: there is nothing to be drawn of such results.
        ShapeError: one is of an image of another size.
    """
    drawn = [
        draw_result(pixels, result, alpha=alpha, palette=palette, has_legend=False, max_side_px=max_side_px)
        for result in (before, after)
    ]
    return side_by_side(drawn, titles=titles)


def check_kind(kind: str, *, task: TaskName) -> Kind:
    """The kind that is meant.

    Raises:
        ConfigError: it is none, or does not fit the task.
    """
    allowed = KINDS_OF[task]
    if not allowed:
        raise ConfigError(f"must be of a task that can be drawn, got {task}; its answer has no place in a picture")
    if kind == "auto":
        return allowed[0]
    for known in allowed:
        if kind == known:
            return known
    raise ConfigError(f"must be auto, {', '.join(allowed)} for {task}, got {kind!r}; choose one", key="kind")


def task_of(result: Result) -> TaskName:
    """The task that gives such results."""
    names: dict[type, TaskName] = {
        Classification: "classification",
        MultiLabel: "multilabel",
        Detection: "detection",
        Segmentation: "segmentation",
    }
    return names.get(type(result), "embedding")
