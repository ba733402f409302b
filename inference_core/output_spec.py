"""What ``output`` of a model says: how its raw output is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from inference_core.detection_spec import DecoderSpec, NmsSpec
from inference_core.hook_spec import read_hook
from inference_core.validation import Frozen, NonNegativeInt, PositiveInt

TaskName = Literal["classification", "multilabel", "detection", "segmentation", "embedding"]

Score = Annotated[float, Field(gt=0, lt=1)]


class OutputSpec(Frozen):
    """How the model's raw output is read."""

    name: str | None = None
    """Which output, where the model has several; by default its only one or its first."""
    names: dict[str, str] = Field(default_factory=dict)
    """Detection from several outputs: which one is ``boxes``, ``scores``, ... of the decoder, where it is called
    otherwise."""
    activation: Literal["softmax", "sigmoid", "none"] = "softmax"
    """Turns the raw output into scores; ``none`` where the model gives probabilities. Multi-label takes ``sigmoid`` or
    ``none``; a detection decoder has its own."""
    layout: Literal["BCHW", "BHWC"] = "BCHW"
    """Segmentation: order of the output's axes."""
    skip_classes: NonNegativeInt = 0
    """Classification: leading outputs of the model that are none of ``classes``; 1 where the first of 1,001 is a
    background. Dropped after the activation."""
    top_k: PositiveInt = 5
    """Classification and multi-label: how many of the best classes a row keeps."""
    threshold: Score = 0.5
    """Least score: of a class (multi-label), a box (detection), the foreground (segmentation with two classes)."""
    thresholds: dict[str, Score] = Field(default_factory=dict)
    """Multi-label and detection: thresholds of single classes by name; ``threshold`` holds for the others."""
    decoder: DecoderSpec | None = None
    """Detection: how raw outputs become boxes. With other tasks only a hook, whose array is read in place of the
    model's output."""
    nms: NmsSpec = NmsSpec()
    """Detection: which of overlapping boxes are kept."""
    clip_boxes: bool = True
    """Detection: whether boxes end at the image's edge; else they keep what the model says to lie beyond it."""
    mask_px: Annotated[int, Field(ge=8, le=512)] = 56
    """Detection with masks: cells along each side of the grid over a box on which its mask travels. More follows the
    outlines of large objects more closely, and costs the square of it in bytes for each object."""
    mask_threshold: Score = 0.5
    """Detection with masks: least score of a pixel."""
    l2_normalize: bool = False
    """Embedding: whether vectors are scaled to length 1."""
    resize_from: Literal["class_map", "scores"] = "class_map"
    """Segmentation with more classes: what is scaled to the image's size. ``scores`` is smoother and heavier."""

    @field_validator("decoder", mode="before")
    @classmethod
    def _read_decoder(cls, value: Any) -> Any:
        return read_hook(value)


TASKS_OF_OPTION: dict[str, tuple[TaskName, ...]] = {
    "names": ("detection",),
    "skip_classes": ("classification",),
    "activation": ("classification", "multilabel", "segmentation"),
    "thresholds": ("multilabel", "detection"),
    "nms": ("detection",),
    "clip_boxes": ("detection",),
    "mask_px": ("detection",),
    "mask_threshold": ("detection",),
    "l2_normalize": ("embedding",),
}
"""Options of ``output`` that only some tasks read; with another task they are refused, not ignored."""
