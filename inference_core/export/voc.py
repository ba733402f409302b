"""Pascal VOC: an XML file for each image, with the boxes of its objects.

Source: Everingham et al., The PASCAL VOC Challenge, development kit: pixels are counted from 1, and the last one of a
box belongs to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from inference_core.export.annotated_image import AnnotatedImage, AnnotatedObject
from inference_core.export.image_names import StemNames, file_name
from inference_core.export.shard_part import Lines, MergedFile, ShardPart
from inference_core.safe_text import visible_text

FOLDER = "Annotations"


class VocWriter:
    """Boxes as the pixels that they touch.

    Args:
        classes: names by class id.
        names: of the files.
        with_scores: whether objects have a ``confidence``, which the development kit does not know.
    """

    sections = ("images",)

    def __init__(self, classes: Sequence[str], *, names: StemNames, with_scores: bool) -> None:
        self._classes = classes
        self._names = names
        self._with_scores = with_scores

    @property
    def merged_files(self) -> Mapping[str, MergedFile]:
        """See Writer."""
        labels = "".join(f"{visible_text(label)}\n" for label in self._classes)
        return {
            "labels.txt": (labels,),
            "ImageSets/Main/default.txt": (Lines(section="images", between="\n", closing="\n"),),
        }

    def write(self, images: Sequence[AnnotatedImage]) -> ShardPart:
        """See Writer."""
        paths = [self._names.name(image.image_id, folder=FOLDER, suffix=".xml") for image in images]
        return ShardPart(
            lines={"images": [visible_text(path[len(FOLDER) + 1 : -len(".xml")]) for path in paths]},
            files={path: self._annotation(image) for path, image in zip(paths, images, strict=True)},
        )

    def _annotation(self, image: AnnotatedImage) -> bytes:
        """The file of one image."""
        height, width = image.image_hw
        folder, _, name = file_name(image.image_id).rpartition("/")
        root = ElementTree.Element("annotation")
        add_texts(root, {"folder": folder, "filename": name, "path": image.uri})
        add_texts(ElementTree.SubElement(root, "size"), {"width": width, "height": height, "depth": 3})
        add_texts(root, {"segmented": 0})
        for one in image.objects:
            entry = ElementTree.SubElement(root, "object")
            add_texts(entry, {"name": one.label, "pose": "Unspecified", "truncated": 0, "difficult": 0})
            add_texts(entry, {"confidence": f"{one.score:.6f}"} if self._with_scores else {})
            add_texts(ElementTree.SubElement(entry, "bndbox"), pixel_box(one, image.image_hw))
        ElementTree.indent(root)
        encoded: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        return encoded + b"\n"


def add_texts(parent: ElementTree.Element, values: Mapping[str, str | int]) -> None:
    """Children with a text each; characters that XML does not take are escapes."""
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = visible_text(str(value))


def pixel_box(one: AnnotatedObject, image_hw: tuple[int, int]) -> dict[str, int]:
    """The first and last pixels that a box touches, from 1."""
    height, width = image_hw
    x_min, y_min, x_max, y_max = one.box_xyxy
    left, top = (min(max(math.floor(low) + 1, 1), side) for low, side in ((x_min, width), (y_min, height)))
    right, bottom = (min(max(math.ceil(high), 1), side) for high, side in ((x_max, width), (y_max, height)))
    return {"xmin": left, "ymin": top, "xmax": max(right, left), "ymax": max(bottom, top)}
