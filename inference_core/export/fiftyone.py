"""FiftyOne: samples whose fields are its own label types, read by ``fiftyone.types.LegacyFiftyOneDataset``.

Source: voxel51/fiftyone, ``utils/data/importers.py``, LegacyFiftyOneDatasetImporter: ``samples.json`` holds what
``Sample.to_dict`` gives. That importer alone needs no records of a database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inference_core.export.annotated_image import AnnotatedImage, AnnotatedObject, ImageClass
from inference_core.export.image_names import file_name
from inference_core.export.json_text import json_text
from inference_core.export.outline import join_rings, outline
from inference_core.export.shard_part import Lines, MergedFile, ShardPart

FIELD, OUTLINES = "predictions", "outlines"
"""Of a sample: boxes or classes, and the lines around objects with pixels."""
LOCAL = "file://"


class FiftyOneWriter:
    """Boxes and points as shares of the image.

    Args:
        classes: names by class id.
        task: of the run.
    """

    sections = ("samples",)

    def __init__(self, classes: Sequence[str], *, task: str) -> None:
        self._classes = classes
        self._task = task

    @property
    def merged_files(self) -> Mapping[str, MergedFile]:
        """See Writer."""
        metadata = {"media_type": "image", "info": {"classes": list(self._classes)}}
        return {
            "samples.json": ('{"samples": [\n', Lines(section="samples"), "\n]}\n"),
            "metadata.json": (json_text(metadata) + "\n",),
        }

    def write(self, images: Sequence[AnnotatedImage]) -> ShardPart:
        """See Writer."""
        return ShardPart(lines={"samples": [json_text(self._sample(image)) for image in images]})

    def _sample(self, image: AnnotatedImage) -> dict[str, Any]:
        """One image."""
        height, width = image.image_hw
        is_local = image.uri.startswith(LOCAL)
        sample: dict[str, Any] = {
            "filepath": image.uri[len(LOCAL) :] if is_local else f"data/{file_name(image.image_id)}",
            "_media_type": "image",  # else FiftyOne goes by suffixes, and one name without one fails the whole import
            "tags": [],
            "metadata": {"_cls": "ImageMetadata", "width": width, "height": height},
            "image_id": image.image_id,
            "uri": image.uri,
        }
        if self._task == "classification":
            return {**sample, FIELD: classification(image.classes[0]) if image.classes else None}
        if self._task == "multilabel":
            found = [classification(one) for one in image.classes]
            return {**sample, FIELD: {"_cls": "Classifications", "classifications": found}}
        boxes = [detection(one, image.image_hw) for one in image.objects]
        sample[FIELD] = {"_cls": "Detections", "detections": boxes}
        lines = [polyline(one, image.image_hw) for one in image.objects if one.counts is not None]
        return {**sample, OUTLINES: {"_cls": "Polylines", "polylines": lines}} if lines else sample


def classification(one: ImageClass) -> dict[str, Any]:
    """A class of the whole image."""
    return {"_cls": "Classification", "label": one.label, "confidence": one.score, "tags": []}


def detection(one: AnnotatedObject, image_hw: tuple[int, int]) -> dict[str, Any]:
    """A box: its left, top, width and height."""
    height, width = image_hw
    x_min, y_min, x_max, y_max = one.box_xyxy
    box = [x_min / width, y_min / height, (x_max - x_min) / width, (y_max - y_min) / height]
    return {"_cls": "Detection", "label": one.label, "bounding_box": box, "confidence": one.score, "tags": []}


def polyline(one: AnnotatedObject, image_hw: tuple[int, int]) -> dict[str, Any]:
    """A filled line around an object's pixels, its pieces and holes joined."""
    window, top_left_xy = one.window(image_hw)
    rings = outline(window, top_left_xy=top_left_xy)
    points = (join_rings(rings) / np.array([image_hw[1], image_hw[0]])).tolist() if rings else []
    line = {"points": [points] if points else [], "closed": True, "filled": True}
    return {"_cls": "Polyline", "label": one.label, "confidence": one.score, "tags": [], **line}
