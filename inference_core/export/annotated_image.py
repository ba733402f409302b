"""Answers as annotation tools know them: objects with a class, a box and perhaps pixels, or classes of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.export.mask_runs import BACKGROUND
from inference_core.run_length import BoolArray, decode_mask, encode_window

CORNERS = ("x_min", "y_min", "x_max", "y_max")
BoxXyxy = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedObject:
    """Something in an image."""

    class_id: int
    label: str
    score: float
    box_xyxy: BoxXyxy
    """Half-open, in pixels of the image."""
    counts: str | None = None
    """Its pixels as compressed run lengths; None where only the box is known."""
    area_px: float = 0.0
    """Its pixels, else the area of its box."""

    def window(self, image_hw: tuple[int, int]) -> tuple[BoolArray, tuple[int, int]]:
        """The part of the image around its pixels, (h, w) bool, and the x and y of its top left corner.

        Cost: one array of the image's size.
        """
        assert self.counts is not None, "asked only of objects with pixels"
        mask = decode_mask(self.counts, image_hw=image_hw)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return mask[:0, :0], (0, 0)
        top, left = int(rows[0]), int(columns[0])
        return mask[top : rows[-1] + 1, left : columns[-1] + 1], (left, top)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageClass:
    """What an image as a whole shows."""

    class_id: int
    label: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedImage:
    """One image that has an answer."""

    row_id: int
    image_id: str
    uri: str
    image_hw: tuple[int, int]
    objects: tuple[AnnotatedObject, ...] = ()
    classes: tuple[ImageClass, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which objects are told."""

    min_score: float = 0.0
    min_area_px: int = 1
    """Of objects with pixels."""

    def keeps(self, one: AnnotatedObject) -> bool:
        """Whether an object is told."""
        return one.score >= self.min_score and (one.counts is None or one.area_px >= self.min_area_px)


def annotated(row: Mapping[str, Any], *, task: str, mask: NDArray[Any] | None, wanted: Wanted) -> AnnotatedImage:
    """A row with an answer as an annotated image.

    Args:
        row: by column name.
        task: of the run.
        mask: (H, W) class ids, of a segmentation.
        wanted: which objects are told.
    """
    objects: list[AnnotatedObject] = []
    if task == "detection":
        objects = [object_of(values) for values in row["objects"]]
    elif mask is not None:
        objects = list(regions_of(mask, row["classes"]))
    return AnnotatedImage(
        row_id=row["row_id"],
        image_id=row["image_id"],
        uri=row["uri"],
        image_hw=(row["height"], row["width"]),
        objects=tuple(one for one in objects if wanted.keeps(one)),
        classes=tuple(one for one in classes_of(row, task) if one.score >= wanted.min_score),
    )


def object_of(values: Mapping[str, Any]) -> AnnotatedObject:
    """An entry of the column ``objects``."""
    x_min, y_min, x_max, y_max = (float(values[name]) for name in CORNERS)
    mask = values.get("mask")
    return AnnotatedObject(
        class_id=values["class_id"],
        label=values["label"],
        score=values["score"],
        box_xyxy=(x_min, y_min, x_max, y_max),
        counts=None if mask is None else mask["counts"],
        area_px=(x_max - x_min) * (y_max - y_min) if mask is None else values["mask_area_px"],
    )


def regions_of(mask: NDArray[Any], classes: Sequence[Mapping[str, Any]]) -> Iterator[AnnotatedObject]:
    """The connected regions of every class but the background, by class and then from the top; neighbours at a corner
    belong together. All of a class have its mean score.
    """
    image_hw = (mask.shape[0], mask.shape[1])
    for entry in classes:
        if entry["class_id"] == BACKGROUND:
            continue
        member = (mask == entry["class_id"]).astype(np.uint8)
        count, numbers, stats, _ = cv2.connectedComponentsWithStats(member, connectivity=8)
        for number in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[number])
            window = numbers[top : top + height, left : left + width] == number
            yield AnnotatedObject(
                class_id=entry["class_id"],
                label=entry["label"],
                score=entry["score"],
                box_xyxy=(left, top, left + width, top + height),
                counts=encode_window(window, top_left_yx=(top, left), image_hw=image_hw),
                area_px=area,
            )


def classes_of(row: Mapping[str, Any], task: str) -> Iterator[ImageClass]:
    """What the image as a whole shows."""
    if task == "classification":
        yield ImageClass(class_id=row["class_id"], label=row["label"], score=row["score"])
    elif task == "multilabel":
        for class_id, label, score in zip(row["class_ids"], row["labels"], row["scores"], strict=True):
            yield ImageClass(class_id=class_id, label=label, score=score)
