"""Read the user's labels, and give the function that scores answers by them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference_core import storage
from inference_core.errors import ConfigError, InputError, MissingObjectError
from inference_core.images.boundary import decoder_boundary
from inference_core.optimise.accuracy import Scorer, score_classes, score_labels, score_masks
from inference_core.spec import ModelSpec

KEY = "--labels"
FILE_COLUMNS = ("image_id", "file", "image", "path", "filename")
ID_COLUMNS = ("class_id", "index")
NAME_COLUMNS = ("class", "label", "name")

Label = TypeVar("Label")


def build_scorer(spec: ModelSpec, uri: str, *, image_ids: Sequence[str]) -> Scorer:
    """The function that scores answers by the labels at ``uri``.

    Args:
        spec: the package's.
        uri: for classification a CSV file with a column for the image (FILE_COLUMNS) and one for its class
            (ID_COLUMNS or NAME_COLUMNS); for multi-label one with a column of 0 and 1 for each class; for segmentation
            a folder of masks with one channel of class ids, named after the images.
        image_ids: of the sample; at least one must have a label.

    Raises:
        ConfigError: the task takes no labels here, they cannot be read, or they are of other images or classes.
    """
    match spec.task:
        case "classification":
            return partial(score_classes, truth=of_sample(read_classes(read_table(uri), spec.classes), image_ids, uri))
        case "multilabel":
            return partial(score_labels, truth=of_sample(read_flags(read_table(uri), spec.classes), image_ids, uri))
        case "segmentation":
            masks = {str(PurePosixPath(found.path).with_suffix("")): found.uri for found in storage.list_objects(uri)}
            own = of_sample(masks, image_ids, uri)
            return partial(
                score_masks,
                read_mask=lambda image_id: read_mask(own[image_id]) if image_id in own else None,
                num_classes=len(spec.classes),
            )
    raise ConfigError(
        f"must go with task classification, multilabel or segmentation, got {spec.task}; leave it away, and answers "
        "are compared with the original's",
        key=KEY,
    )


def of_sample(truth: Mapping[str, Label], image_ids: Sequence[str], uri: str) -> dict[str, Label]:
    """What labels say of the images of a sample, which they may name by path, by its end, or without the suffix.

    Raises:
        ConfigError: they name none.
    """
    found = {}
    for image_id in image_ids:
        named = next((name for name in names_of(image_id) if name in truth), None)
        if named is not None:
            found[image_id] = truth[named]
    if not found:
        raise ConfigError(
            f"must name images of the sample, got {uri} with {', '.join(list(truth)[:3]) or 'nothing'} for images such "
            f"as {', '.join(image_ids[:3])}; give the labels of these images",
            key=KEY,
        )
    return found


def names_of(image_id: str) -> Iterator[str]:
    """What labels may call an image, the longest first: ``a/b.png``, ``a/b``, ``b.png``, ``b``."""
    parts = image_id.split("/")
    for start in range(len(parts)):
        name = "/".join(parts[start:])
        yield name
        yield str(PurePosixPath(name).with_suffix("")) if parts[-1] else name


def read_table(uri: str) -> list[dict[str, str]]:
    """The rows of a CSV file by column."""
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
    except (MissingObjectError, UnicodeDecodeError) as exc:
        raise ConfigError(f"must be a CSV file in UTF-8, got {uri}; correct it", key=KEY) from exc
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows:
        raise ConfigError(f"must be a CSV file with a header and rows, got {uri} with none; correct it", key=KEY)
    return rows


def column_of(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> str | None:
    """The first of some columns that a table has."""
    return next((name for name in names if name in rows[0]), None)


def image_column(rows: Sequence[Mapping[str, str]]) -> str:
    """The column that names the image."""
    column = column_of(rows, FILE_COLUMNS)
    if column is None:
        raise ConfigError(
            f"must have a column {' or '.join(FILE_COLUMNS)}, got {', '.join(rows[0])}; rename one", key=KEY
        )
    return column


def read_classes(rows: Sequence[Mapping[str, str]], classes: Sequence[str]) -> dict[str, int]:
    """Class id by image."""
    images, by_id, by_name = image_column(rows), column_of(rows, ID_COLUMNS), column_of(rows, NAME_COLUMNS)
    if by_id is not None:
        return {row[images]: class_id_of(row[by_id], count=len(classes)) for row in rows}
    if by_name is None:
        raise ConfigError(
            f"must have a column {' or '.join((*ID_COLUMNS, *NAME_COLUMNS))}, got {', '.join(rows[0])}; rename one",
            key=KEY,
        )
    ids = {name: index for index, name in enumerate(classes)}
    unknown = sorted({row[by_name] for row in rows} - set(ids))
    if unknown:
        raise ConfigError(f"must hold classes of the package, got {', '.join(unknown[:3])}; correct them", key=KEY)
    return {row[images]: ids[row[by_name]] for row in rows}


def class_id_of(text: str, *, count: int) -> int:
    """A class id as written in a table."""
    if not text.isdecimal() or int(text) >= count:
        raise ConfigError(f"must hold class ids from 0 to {count - 1}, got {text!r}; correct it", key=KEY)
    return int(text)


def read_flags(rows: Sequence[Mapping[str, str]], classes: Sequence[str]) -> dict[str, frozenset[int]]:
    """Class ids by image, of a table with a column for each class."""
    missing = [name for name in classes if name not in rows[0]]
    if missing:
        raise ConfigError(
            f"must have a column of 0 and 1 for each class, got none for {', '.join(missing[:3])}; add it", key=KEY
        )
    images = image_column(rows)
    return {
        row[images]: frozenset(index for index, name in enumerate(classes) if row[name] not in ("", "0"))
        for row in rows
    }


def read_mask(uri: str) -> NDArray[np.integer]:
    """(H, W) class ids of a mask with one channel."""
    data = storage.read_bytes(uri)
    try:
        with decoder_boundary("mask"), Image.open(io.BytesIO(data)) as image:
            values = np.asarray(image)
    except InputError as exc:
        raise ConfigError(f"must hold masks, got {uri}: {exc}", key=KEY) from exc
    if values.ndim != 2 or values.dtype.kind not in "bu":
        raise ConfigError(f"must hold masks with one channel of class ids, got {values.shape} in {uri}", key=KEY)
    return values.astype(np.int32)
