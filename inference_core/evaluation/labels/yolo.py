"""Labels as YOLO has them: a text file for each image, a line for each object."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import yaml

from inference_core import storage
from inference_core.errors import ConfigError, StorageError
from inference_core.evaluation.labels.boxes import BoxLabels
from inference_core.evaluation.labels.class_ids import KEY, ClassIds

SUFFIX = ".txt"
NAME_FILES = ("classes.txt", "data.yaml", "dataset.yaml")
"""Beside the labels: what their numbers mean."""
MOST_OFF = 1.5
"""From the image's middle, in shares of its sides: objects that were cut reach over an edge, but not so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What class numbers mean."""

    names: Mapping[int, str]
    origin: str
    """URI of the file that says so."""


def read_yolo(uri: str, ids: ClassIds) -> dict[str, BoxLabels]:
    """Labels by path below a folder, without the suffix.

    A line is a class number and either a box (middle, width and height as shares of the image) or the corners of a
    polygon, whose box is taken. An empty file says that there is nothing in the image.

    Raises:
        ConfigError: there is no text file, a line is none of these, or a class is unknown.
    """
    found = sorted(storage.list_objects(uri), key=lambda entry: entry.path)
    numbers = read_numbers({entry.path: entry.uri for entry in found})
    entries = [
        entry for entry in found if entry.path.endswith(SUFFIX) and entry.path.rpartition("/")[2] not in NAME_FILES
    ]
    if not entries:
        raise ConfigError(f"must be a folder with a text file for each image, got {uri} without any", key=KEY)
    labels = {}
    for entry, outcome in zip(entries, storage.read_many(entry.uri for entry in entries), strict=True):
        if isinstance(outcome, Exception):
            raise outcome
        name = str(PurePosixPath(entry.path).with_suffix(""))
        labels[name] = read_file(outcome.decode(errors="replace").splitlines(), ids, numbers, origin=entry.uri)
    return labels


def read_file(lines: Iterable[str], ids: ClassIds, numbers: Numbers | None, *, origin: str) -> BoxLabels:
    """The objects of one image."""
    boxes, class_ids = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{origin}, line {number}"
        try:
            value, *rest = (float(part) for part in line.split())
            if not all(map(math.isfinite, (value, *rest))):
                raise ValueError(line)
        except ValueError:
            raise ConfigError(f"must hold numbers, got {line[:60]!r} in {place}; correct it", key=KEY) from None
        class_id = class_of(int(value), ids, numbers, origin=place)
        if class_id is not None:
            boxes.append(check_shares(box_of(rest, origin=place), origin=place))
            class_ids.append(class_id)
    return BoxLabels.of(boxes, class_ids, is_relative=True)


def class_of(number: int, ids: ClassIds, numbers: Numbers | None, *, origin: str) -> int | None:
    """The class id of a number, by its name where a file says what the numbers mean."""
    if numbers is None:
        return ids.of_number(number, origin=origin)
    if number not in numbers.names:
        raise ConfigError(
            f"must have class numbers that {numbers.origin} names, got {number} in {origin}; correct one of them",
            key=KEY,
        )
    name = numbers.names[number]
    return ids.of_names([name], origin=numbers.origin)[name]


def check_shares(box: list[float], *, origin: str) -> list[float]:
    """The box, which lies in the image, or hardly outside of it.

    Raises:
        ConfigError: it lies so far outside that its corners must be pixels.
    """
    if any(abs(value - 0.5) > MOST_OFF for value in box):
        raise ConfigError(
            f"must hold shares of the image's width and height from 0 to 1, got a box from {box[0]:g}, {box[1]:g} to "
            f"{box[2]:g}, {box[3]:g} in {origin}; divide pixels by width and height",
            key=KEY,
        )
    return box


def box_of(values: list[float], *, origin: str) -> list[float]:
    """The corners of a box or around a polygon, as shares; of a pose or a box with a score the first four count."""
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    if len(values) >= 6 and len(values) % 2 == 0:
        return [min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])]
    raise ConfigError(
        f"must have a class and 4 numbers of a box, or at least 3 corners, got {len(values)} numbers in {origin}",
        key=KEY,
    )


def read_numbers(uris: dict[str, str]) -> Numbers | None:
    """What the numbers mean, where a file beside the labels says so."""
    path = next((path for name in NAME_FILES for path in uris if path == name), None)
    if path is None:
        return None
    try:
        text = storage.read_bytes(uris[path]).decode()
        names = text.split("\n") if path.endswith(SUFFIX) else (yaml.safe_load(text) or {}).get("names")
    except (StorageError, ValueError, yaml.YAMLError, AttributeError) as exc:
        raise ConfigError(f"must say what class numbers mean, got {uris[path]} ({exc}); correct it", key=KEY) from exc
    pairs = names.items() if isinstance(names, dict) else enumerate(names or [])
    named = {int(number): str(name).strip() for number, name in pairs if str(name).strip()}
    return Numbers(names=named, origin=uris[path])
