"""Read the labels at a URI in whatever form they are, for the task at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.evaluation.labels.boxes import BoxLabels
from inference_core.evaluation.labels.class_ids import KEY, ClassIds
from inference_core.evaluation.labels.coco import CocoLabels, read_coco
from inference_core.evaluation.labels.folders import FOLDERS, classes_of_folders, classes_of_tree
from inference_core.evaluation.labels.mask_files import Mask, list_masks, look_at_values, read_mask
from inference_core.evaluation.labels.table import classes_in_table, label_sets_in_table, read_table
from inference_core.evaluation.labels.yolo import SUFFIX, read_yolo

TABLE_SUFFIXES = (".csv", ".tsv")
JSON_SUFFIX = ".json"
BACKGROUND = 0

ReadMask = Callable[[], Mask]
"""Gives the (H, W) class ids of one image when they are needed; values outside of the classes are no label."""


def read_class_labels(uri: str, ids: ClassIds, *, image_ids: Sequence[str]) -> dict[str, int]:
    """Class id by what labels call an image.

    Args:
        uri: a CSV file, COCO's JSON with one category an image, a folder whose folders are named after classes, or
            FOLDERS for those of the images themselves.
        ids: of the package.
        image_ids: of the run.

    Raises:
        ConfigError: the labels cannot be read, or are of other classes.
    """
    if uri == FOLDERS:
        return classes_of_folders(image_ids, ids, origin="the images' own folders")
    if is_table(uri):
        return classes_in_table(read_table(uri), ids, origin=uri)
    if is_json(uri):
        return read_coco(uri, ids).single_classes()
    return classes_of_tree(existing_folder(uri), ids)


def read_label_sets(uri: str, ids: ClassIds) -> dict[str, frozenset[int]]:
    """Class ids by what labels call an image: from a CSV file, COCO's JSON, or a folder of YOLO's text files.

    Raises:
        ConfigError: the labels cannot be read, or are of other classes.
    """
    if is_table(uri):
        return label_sets_in_table(read_table(uri), ids, origin=uri)
    if is_json(uri):
        return read_coco(uri, ids).label_sets()
    return {name: frozenset(labels.class_ids.tolist()) for name, labels in read_yolo(existing_folder(uri), ids).items()}


def read_box_labels(uri: str, ids: ClassIds) -> dict[str, BoxLabels]:
    """Boxes by what labels call an image: from COCO's JSON, or a folder of YOLO's text files.

    Raises:
        ConfigError: the labels cannot be read, or are of other classes.
    """
    if is_json(uri):
        return read_coco(uri, ids).boxes()
    if is_table(uri):
        raise ConfigError(f"must be COCO's JSON or a folder of {SUFFIX} files with task detection, got {uri}", key=KEY)
    return read_yolo(existing_folder(uri), ids)


def read_mask_labels(uri: str, ids: ClassIds) -> tuple[dict[str, ReadMask], list[str]]:
    """What gives the mask, by what labels call an image; and notes on what was assumed.

    Args:
        uri: a folder of masks with one channel of class ids, or COCO's JSON, whose unlabelled pixels are class 0.
        ids: of the package.

    Raises:
        ConfigError: the labels cannot be read, or are of other classes.
    """
    if is_json(uri):
        labels = read_coco(uri, ids)
        return {name: partial(coco_mask, labels, name) for name in labels.annotations}, []
    if is_table(uri):
        raise ConfigError(f"must be a folder of masks or COCO's JSON with task segmentation, got {uri}", key=KEY)
    masks = list_masks(existing_folder(uri))
    values = look_at_values(masks, ids)

    def read(found: str) -> Mask:
        return values.class_ids(read_mask(found), origin=found)

    return {path: partial(read, found) for path, found in masks.items()}, values.notes


def coco_mask(labels: CocoLabels, name: str) -> Mask:
    """The mask that annotations draw."""
    return labels.mask(name, background=BACKGROUND)


def is_table(uri: str) -> bool:
    """Whether a name is that of a table."""
    return uri.lower().endswith(TABLE_SUFFIXES)


def is_json(uri: str) -> bool:
    """Whether a name is that of a JSON file."""
    return uri.lower().endswith(JSON_SUFFIX)


def existing_folder(uri: str) -> str:
    """The URI, which must hold something.

    Raises:
        ConfigError: it holds nothing.
    """
    if storage.exists(uri):
        raise ConfigError(
            f"must be a CSV file (.csv, .tsv), COCO's JSON (.json) or a folder that holds labels, got the file {uri}; "
            "rename it after what it holds, or name its folder",
            key=KEY,
        )
    if next(iter(storage.list_objects(uri)), None) is None:
        raise ConfigError(
            f"must be a CSV file, COCO's JSON or a folder that holds labels, got {uri} with nothing in it; check "
            "the path",
            key=KEY,
        )
    return uri
