"""Label Studio: tasks with predictions, to be corrected there, and the labelling interface that they go with.

Source: labelstud.io/guide/predictions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

from inference_core.export.annotated_image import AnnotatedImage, AnnotatedObject, ImageClass
from inference_core.export.brush_runs import brush_runs
from inference_core.export.json_text import json_text
from inference_core.export.outline import outline
from inference_core.export.shard_part import Lines, MergedFile, ShardPart
from inference_core.run_length import decode_mask
from inference_core.safe_text import visible_text

IMAGE = "image"
"""Name of the picture in the interface."""


class LabelStudioWriter:
    """Rectangles, polygons or brush strokes in per cent of the image; choices for classes.

    Objects are polygons, one for each piece, unless they have holes, which polygons have not there: then a brush mask.

    Args:
        classes: names by class id.
        task: of the run.
        model_version: what predictions say they are of.
    """

    sections = ("tasks",)

    def __init__(self, classes: Sequence[str], *, task: str, model_version: str) -> None:
        self._classes = classes
        self._task = task
        self._model_version = model_version

    @property
    def merged_files(self) -> Mapping[str, MergedFile]:
        """See Writer."""
        return {"tasks.json": ("[\n", Lines(section="tasks"), "\n]\n"), "label_config.xml": (self._config(),)}

    def write(self, images: Sequence[AnnotatedImage]) -> ShardPart:
        """See Writer."""
        return ShardPart(lines={"tasks": [json_text(self._task_of(image)) for image in images]})

    def _task_of(self, image: AnnotatedImage) -> dict[str, Any]:
        """One image with its prediction."""
        regions = [region for one in image.objects for region in regions_of_object(one, image.image_hw)]
        results = [*regions, *(choices(image) if image.classes else ())]
        scores = [*(one.score for one in image.objects), *(one.score for one in image.classes)]
        prediction = {"model_version": self._model_version, "score": max(scores, default=0.0), "result": results}
        for number, result in enumerate(results, start=1):
            result["id"] = f"{image.row_id}-{number}"
        return {"data": {IMAGE: image.uri, "image_id": image.image_id}, "predictions": [prediction]}

    def _config(self) -> str:
        """The labelling interface."""
        is_whole = self._task in ("classification", "multilabel")
        kind = "Choice" if is_whole else "Label"
        labels = "".join(f"    <{kind} value={quoteattr(visible_text(label))}/>\n" for label in self._classes)
        many = ' choice="multiple"' if self._task == "multilabel" else ""
        names = ("Choices",) if is_whole else ("RectangleLabels", "PolygonLabels", "BrushLabels")
        tags = "".join(
            f'  <{name} name="{name.lower()}" toName="{IMAGE}"{many}>\n{labels}  </{name}>\n' for name in names
        )
        return f'<View>\n  <Image name="{IMAGE}" value="${IMAGE}"/>\n{tags}</View>\n'


def regions_of_object(one: AnnotatedObject, image_hw: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """What the interface draws of an object."""
    height, width = image_hw
    if one.counts is None:
        x_min, y_min, x_max, y_max = one.box_xyxy
        box = {"x": 100 * x_min / width, "y": 100 * y_min / height}
        box |= {"width": 100 * (x_max - x_min) / width, "height": 100 * (y_max - y_min) / height}
        yield region("rectanglelabels", one, {**box, "rotation": 0}, image_hw)
        return
    window, top_left_xy = one.window(image_hw)
    rings = outline(window, top_left_xy=top_left_xy)
    if any(ring.is_hole for ring in rings):
        runs = brush_runs(decode_mask(one.counts, image_hw=image_hw))
        yield region("brushlabels", one, {"format": "rle", "rle": runs}, image_hw)
        return
    for ring in rings:
        points = (ring.points_xy * 100 / np.array([width, height])).tolist()
        yield region("polygonlabels", one, {"points": points, "closed": True}, image_hw)


def region(kind: str, one: AnnotatedObject, value: Mapping[str, Any], image_hw: tuple[int, int]) -> dict[str, Any]:
    """One region of an image."""
    return {
        "type": kind,
        "from_name": kind,
        "to_name": IMAGE,
        "original_height": image_hw[0],
        "original_width": image_hw[1],
        "image_rotation": 0,
        "score": one.score,
        "value": {**value, kind: [visible_text(one.label)]},
    }


def choices(image: AnnotatedImage) -> Iterator[dict[str, Any]]:
    """What the image as a whole shows."""
    classes: Sequence[ImageClass] = image.classes
    yield {
        "type": "choices",
        "from_name": "choices",
        "to_name": IMAGE,
        "score": max(one.score for one in classes),
        "value": {"choices": [visible_text(one.label) for one in classes]},
    }
