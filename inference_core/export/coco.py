"""COCO: one JSON file with images, categories and annotations.

Source: cocodataset.org/#format-data and #format-results; pycocotools reads both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from inference_core.export.annotated_image import AnnotatedImage, AnnotatedObject
from inference_core.export.image_names import file_name
from inference_core.export.json_text import json_text
from inference_core.export.outline import outline
from inference_core.export.shard_part import Lines, MergedFile, ShardPart

Shape = Literal["polygons", "rle"]
FILE = "instances.json"


class CocoWriter:
    """Ids: an image's is its row id + 1, a category's its class id + 1, annotations are counted from 1.

    Args:
        classes: names by class id.
        shape: of objects with pixels. ``polygons`` run along the edges of pixels, so that they hold exactly these;
            objects with holes, for which COCO has no polygon, are run lengths all the same.
        description: of the file.
    """

    sections = ("images", "annotations")

    def __init__(self, classes: Sequence[str], *, shape: Shape, description: str) -> None:
        self._classes = classes
        self._shape = shape
        self._description = description

    @property
    def merged_files(self) -> Mapping[str, MergedFile]:
        """See Writer."""
        categories = [
            {"id": class_id + 1, "name": label, "supercategory": ""} for class_id, label in enumerate(self._classes)
        ]
        info = json_text({"description": self._description})
        head = f'{{"info": {info},\n"licenses": [],\n"categories": {json_text(categories)},\n"images": [\n'
        annotations = Lines(section="annotations", is_numbered=True)
        return {FILE: (head, Lines(section="images"), '\n],\n"annotations": [\n', annotations, "\n]}\n")}

    def write(self, images: Sequence[AnnotatedImage]) -> ShardPart:
        """See Writer."""
        return ShardPart(
            lines={
                "images": [json_text(image_entry(image)) for image in images],
                "annotations": [json_text(self._annotation(one, image)) for image in images for one in image.objects],
            }
        )

    def _annotation(self, one: AnnotatedObject, image: AnnotatedImage) -> dict[str, Any]:
        """One object; its id comes when the parts are merged."""
        x_min, y_min, x_max, y_max = one.box_xyxy
        entry: dict[str, Any] = {
            "image_id": image.row_id + 1,
            "category_id": one.class_id + 1,
            "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
            "area": one.area_px,
            "iscrowd": 0,
            "score": one.score,
        }
        if one.counts is not None:
            entry["segmentation"] = self._segmentation(one, image.image_hw)
        return entry

    def _segmentation(self, one: AnnotatedObject, image_hw: tuple[int, int]) -> Any:
        """Polygons, or run lengths."""
        runs = {"size": list(image_hw), "counts": one.counts}
        if self._shape == "rle":
            return runs
        window, top_left_xy = one.window(image_hw)
        rings = outline(window, top_left_xy=top_left_xy)
        if not rings or any(ring.is_hole for ring in rings):
            return runs
        return [ring.points_xy.ravel().tolist() for ring in rings]


def image_entry(image: AnnotatedImage) -> dict[str, Any]:
    """One image."""
    height, width = image.image_hw
    return {
        "id": image.row_id + 1,
        "file_name": file_name(image.image_id),
        "height": height,
        "width": width,
        "coco_url": image.uri,
    }
