"""Labels as COCO has them: one JSON file with images, categories and annotations."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, ShapeError
from inference_core.evaluation.labels.boxes import BoxLabels
from inference_core.evaluation.labels.class_ids import KEY, ClassIds
from inference_core.run_length import decode_mask

Annotation = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoLabels:
    """The annotations of each image by its file name; an image without any is labelled as empty."""

    annotations: Mapping[str, Sequence[Annotation]]
    image_hw: Mapping[str, tuple[int, int]]
    class_ids: Mapping[int, int | None]
    """By category id; None where it is not to be counted."""
    origin: str

    def boxes(self) -> dict[str, BoxLabels]:
        """Boxes by image."""
        return {name: self._boxes_of(self._counted(name)) for name in self.annotations}

    def label_sets(self) -> dict[str, frozenset[int]]:
        """The classes that each image shows."""
        return {name: frozenset(class_id for class_id, _ in self._counted(name)) for name in self.annotations}

    def single_classes(self) -> dict[str, int]:
        """The class of each image.

        Raises:
            ConfigError: an image has several.
        """
        found = {}
        for name, labels in self.label_sets().items():
            if len(labels) > 1:
                raise ConfigError(
                    f"must give one class for each image, got {len(labels)} for {name} in {self.origin}; use task "
                    "multilabel or detection",
                    key=KEY,
                )
            if labels:
                found[name] = next(iter(labels))
        return found

    def mask(self, name: str, *, background: int) -> NDArray[np.int32]:
        """(H, W) class ids of one image; a later annotation lies over an earlier one, crowds are no label."""
        mask = np.full(self.image_hw[name], background, np.int32)
        for class_id, annotation in self._counted(name):
            mask[self._pixels_of(annotation, self.image_hw[name])] = -1 if annotation.get("iscrowd") else class_id
        return mask

    def _counted(self, name: str) -> list[tuple[int, Annotation]]:
        """Class id and annotation of what counts in an image."""
        pairs = [(self.class_ids[one["category_id"]], one) for one in self.annotations[name]]
        return [(class_id, one) for class_id, one in pairs if class_id is not None]

    def _boxes_of(self, kept: Sequence[tuple[int, Annotation]]) -> BoxLabels:
        boxes = [self._box_of(one) for _, one in kept]
        crowds = [bool(one.get("iscrowd", 0)) for _, one in kept]
        return BoxLabels.of(boxes, [class_id for class_id, _ in kept], is_relative=False, is_crowd=crowds)

    def _box_of(self, annotation: Annotation) -> list[float]:
        box = annotation.get("bbox")
        is_four = isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box)
        if not isinstance(box, list) or not is_four or min(box[2:]) < 0:
            raise ConfigError(
                f"must have a bbox of 4 numbers, got {box} in {self.origin}; give left, top, width and height",
                key=KEY,
            )
        x, y, width, height = (float(value) for value in box)
        return [x, y, x + width, y + height]

    def _pixels_of(self, annotation: Annotation, image_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """(H, W) bool of an annotation: polygons, or run lengths, compressed or not."""
        shape = annotation.get("segmentation")
        if isinstance(shape, list):
            if not are_polygons(shape):
                raise ConfigError(
                    f"must have polygons of at least 3 corners, x and y in turn, got {str(shape)[:60]} in "
                    f"{self.origin}; correct it",
                    key=KEY,
                )
            return draw_polygons(shape, image_hw=image_hw)
        if isinstance(shape, dict) and isinstance(shape.get("counts"), str):
            try:
                return decode_mask(shape["counts"], image_hw=image_hw)
            except ShapeError as exc:
                raise ConfigError(f"must hold whole run lengths, got {self.origin}: {exc}", key=KEY) from exc
        if isinstance(shape, dict) and are_runs(shape.get("counts"), num_pixels=image_hw[0] * image_hw[1]):
            runs = np.repeat(np.arange(len(shape["counts"])) % 2 == 1, shape["counts"])
            return np.ascontiguousarray(runs.reshape(image_hw[1], image_hw[0]).T)
        raise ConfigError(
            f"must have a segmentation of polygons or of run lengths of all {image_hw[0] * image_hw[1]} pixels, got "
            f"{str(shape)[:60]} in {self.origin}; correct it, or evaluate a detection by the boxes",
            key=KEY,
        )


def are_polygons(shape: list[Any]) -> bool:
    """Whether each of some lists is three corners or more."""
    return bool(shape) and all(
        isinstance(one, list)
        and len(one) >= 6
        and len(one) % 2 == 0
        and all(isinstance(value, int | float) for value in one)
        for one in shape
    )


def are_runs(counts: Any, *, num_pixels: int) -> bool:
    """Whether something is the run lengths of so many pixels."""
    if not isinstance(counts, list) or not all(isinstance(count, int) and count >= 0 for count in counts):
        return False
    return sum(counts) == num_pixels


def draw_polygons(polygons: list[list[float]], *, image_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) bool of polygons, each a list of x and y in turn, as COCO draws them.

    Raises:
        ConfigError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask as coco_mask
    except ImportError as exc:
        raise ConfigError("pycocotools must be installed to read polygons: pip install 'millrace[evaluate]'") from exc
    runs = coco_mask.merge(coco_mask.frPyObjects(polygons, *image_hw))
    return decode_mask(runs["counts"].decode("ascii"), image_hw=image_hw)


def read_coco(uri: str, ids: ClassIds) -> CocoLabels:
    """Read an annotation file.

    Raises:
        ConfigError: there is none, it is no such JSON, or a category is no class of the package.
    """
    try:
        data = json.loads(storage.read_bytes(uri))
        images = {image["id"]: image for image in data["images"]}
        categories = {category["id"]: str(category["name"]) for category in data["categories"]}
        by_image: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in data["annotations"]:
            by_image[str(images[annotation["image_id"]]["file_name"])].append(annotation)
        names = [str(image["file_name"]) for image in images.values()]
        sizes = {str(one["file_name"]): (int(one["height"]), int(one["width"])) for one in images.values()}
    except MissingObjectError as exc:
        raise ConfigError(f"must be an existing file, got {uri}; check the path", key=KEY) from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ConfigError(
            f"must be COCO's JSON with images, categories and annotations, got {uri} ({exc!r}); correct it", key=KEY
        ) from exc
    used = {annotation.get("category_id") for every in by_image.values() for annotation in every}
    if unknown := used - set(categories):
        raise ConfigError(f"must have known categories, got {next(iter(unknown))} in {uri}; correct it", key=KEY)
    named = ids.of_names([name for key, name in categories.items() if key in used], origin=uri)
    return CocoLabels(
        annotations={name: by_image.get(name, []) for name in names},
        image_hw=sizes,
        class_ids={key: named[name] for key, name in categories.items() if key in used},
        origin=uri,
    )
