"""YOLO: a text file for each image, a line for each object, and ``data.yaml`` with the names of the classes.

Source: docs.ultralytics.com/datasets/detect and /segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import yaml

from inference_core.export.annotated_image import AnnotatedImage, AnnotatedObject
from inference_core.export.image_names import StemNames, file_name
from inference_core.export.json_text import json_text
from inference_core.export.outline import join_rings, outline
from inference_core.export.shard_part import Lines, MergedFile, ShardPart

DIGITS = 6
"""Behind the point: a thousandth of a pixel in an image of 1,000."""


class YoloWriter:
    """Boxes, or polygons of objects with pixels, as shares of the image.

    Args:
        classes: names by class id.
        names: of the files.
        with_scores: whether a line ends with the score, as predictions have it and labels to train on do not.
    """

    sections = ("images",)

    def __init__(self, classes: Sequence[str], *, names: StemNames, with_scores: bool) -> None:
        self._classes = classes
        self._names = names
        self._with_scores = with_scores

    @property
    def merged_files(self) -> Mapping[str, MergedFile]:
        """See Writer."""
        data = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(self._classes))}
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=False, width=10_000)
        return {"data.yaml": (text,), "images.jsonl": (Lines(section="images", between="\n", closing="\n"),)}

    def write(self, images: Sequence[AnnotatedImage]) -> ShardPart:
        """See Writer."""
        files, lines = {}, []
        for image in images:
            path = self._names.name(image.image_id, folder="labels", suffix=".txt")
            files[path] = "".join(f"{self._line(one, image.image_hw)}\n" for one in image.objects).encode()
            lines.append(json_text({"image": f"images/{file_name(image.image_id)}", "labels": path, "uri": image.uri}))
        return ShardPart(lines={"images": lines}, files=files)

    def _line(self, one: AnnotatedObject, image_hw: tuple[int, int]) -> str:
        """One object."""
        values = box_shares(one, image_hw) if one.counts is None else polygon_shares(one, image_hw)
        scores = [one.score] if self._with_scores else []
        return " ".join([str(one.class_id), *(f"{value:.{DIGITS}f}" for value in [*values, *scores])])


def box_shares(one: AnnotatedObject, image_hw: tuple[int, int]) -> list[float]:
    """Middle, width and height of the part of a box that lies in the image."""
    sides = np.array([image_hw[1], image_hw[0]], np.float64)
    low, high = (np.clip(np.array(one.box_xyxy[start : start + 2]) / sides, 0, 1) for start in (0, 2))
    return [*((low + high) / 2).tolist(), *(high - low).tolist()]


def polygon_shares(one: AnnotatedObject, image_hw: tuple[int, int]) -> list[float]:
    """X and y in turn of one line around an object's pixels, its pieces and holes joined."""
    window, top_left_xy = one.window(image_hw)
    rings = outline(window, top_left_xy=top_left_xy)
    if not rings:
        return []
    shares: list[float] = (join_rings(rings) / np.array([image_hw[1], image_hw[0]])).ravel().tolist()
    return shares
