"""Labels in a table: a CSV file with a row for each image, or for each label of one."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError
from inference_core.evaluation.labels.class_ids import KEY, ClassIds

FILE_COLUMNS = ("image_id", "file", "image", "path", "filename")
ID_COLUMNS = ("class_id", "index")
NAME_COLUMNS = ("class", "label", "name")

Row = Mapping[str, str]


def read_table(uri: str) -> list[dict[str, str]]:
    """The rows of a CSV file by column; tabs and semicolons divide, too, where the header has no comma.

    Raises:
        ConfigError: there is no such file, or it holds no rows.
    """
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
    except (MissingObjectError, UnicodeDecodeError) as exc:
        raise ConfigError(f"must be a CSV file in UTF-8, got {uri}; correct it", key=KEY) from exc
    header = text.partition("\n")[0]
    delimiter = next((sign for sign in (",", "\t", ";") if sign in header), ",")
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    if not rows:
        raise ConfigError(f"must be a CSV file with a header and rows, got {uri} with none; correct it", key=KEY)
    return rows


def column_of(rows: Sequence[Row], names: Sequence[str]) -> str | None:
    """The first of some columns that a table has."""
    return next((name for name in names if name in rows[0]), None)


def image_column(rows: Sequence[Row]) -> str:
    """The column that names the image."""
    column = column_of(rows, FILE_COLUMNS)
    if column is None:
        raise ConfigError(
            f"must have a column {' or '.join(FILE_COLUMNS)}, got {', '.join(rows[0])}; rename one", key=KEY
        )
    return column


def classes_in_table(rows: Sequence[Row], ids: ClassIds, *, origin: str) -> dict[str, int]:
    """Class id by image; images whose class is not to be counted are left out.

    Raises:
        ConfigError: a column is missing, a class is unknown, an image has two, or names and ids contradict each other.
    """
    found: dict[str, int] = {}
    for image, class_id in pairs_in_table(rows, ids, origin=origin):
        if found.get(image, class_id) != class_id:
            raise ConfigError(
                f"must give one class for each image, got {ids.classes[found[image]]!r} and {ids.classes[class_id]!r} "
                f"for {image} in {origin}; correct it",
                key=KEY,
            )
        found[image] = class_id
    return found


def label_sets_in_table(rows: Sequence[Row], ids: ClassIds, *, origin: str) -> dict[str, frozenset[int]]:
    """Class ids by image: of a table with a column of 0 and 1 for each class, or with a row for each label.

    Raises:
        ConfigError: a column is missing, or a class is unknown.
    """
    if not any(name in rows[0] for name in ids.classes) and column_of(rows, (*ID_COLUMNS, *NAME_COLUMNS)):
        found: dict[str, set[int]] = {row[image_column(rows)]: set() for row in rows}
        for image, class_id in pairs_in_table(rows, ids, origin=origin):
            found[image].add(class_id)
        return {image: frozenset(labels) for image, labels in found.items()}
    missing = [name for name in ids.classes if name not in rows[0]]
    if missing:
        raise ConfigError(
            f"must have a column of 0 and 1 for each class, got none for {', '.join(missing[:3])}; add it", key=KEY
        )
    images = image_column(rows)
    return {
        row[images]: frozenset(index for index, name in enumerate(ids.classes) if row[name] not in ("", "0"))
        for row in rows
    }


def pairs_in_table(rows: Sequence[Row], ids: ClassIds, *, origin: str) -> list[tuple[str, int]]:
    """Image and class id of each row; rows whose class is not to be counted are left out."""
    images, by_id, by_name = image_column(rows), column_of(rows, ID_COLUMNS), column_of(rows, NAME_COLUMNS)
    if by_id is None and by_name is None:
        raise ConfigError(
            f"must have a column {' or '.join((*ID_COLUMNS, *NAME_COLUMNS))}, got {', '.join(rows[0])}; rename one",
            key=KEY,
        )
    if by_id is None:
        named = ids.of_names([row[by_name] for row in rows], origin=origin) if by_name else {}
        pairs = [(row[images], named[row[by_name or ""]]) for row in rows]
    else:
        pairs = [(row[images], number_in(row, by_id, by_name, ids, origin=origin)) for row in rows]
    return [(image, class_id) for image, class_id in pairs if class_id is not None]


def number_in(row: Row, by_id: str, by_name: str | None, ids: ClassIds, *, origin: str) -> int | None:
    """The class id of a row that has a number, checked against its name where the package knows that."""
    text = row[by_id]
    if not text.isdecimal():
        raise ConfigError(
            f"must hold class ids from 0 to {len(ids.classes) - 1}, got {text!r} in {origin}; correct it", key=KEY
        )
    class_id = ids.of_number(int(text), origin=origin)
    name = row[by_name] if by_name else ""
    if not ids.has_map and class_id is not None and name in ids and ids.classes[class_id] != name:
        raise ConfigError(
            f"must mean the package's class ids, got {class_id} for {name!r}, which is {ids.classes[class_id]!r} in "
            f"the package; leave the column {by_id} away",
            key=KEY,
        )
    return class_id
