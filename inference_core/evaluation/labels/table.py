"""Labels in a table: a CSV file with a row for each image, or for each label of one."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError
from inference_core.evaluation.labels.class_ids import KEY, ClassIds

FILE_COLUMNS = ("image_id", "file", "image", "path", "filename")
ID_COLUMNS = ("class_id", "index")
NAME_COLUMNS = ("class", "label", "name")
FLAGS = MappingProxyType({"": False, "0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True})
"""Whether an image shows a class, as tables say it."""

Row = Mapping[str, str]


def read_table(uri: str) -> list[dict[str, str]]:
    """The rows of a CSV file by column; tabs and semicolons divide, too, where the header has no comma.

    Lines may end as on any system; blanks around a cell and lines of empty cells do not count.

    Raises:
        ConfigError: there is no such file, it holds no rows, or one has more or fewer cells than the header.
    """
    lines = read_lines(uri)
    if len(lines) < 2:
        raise ConfigError(f"must be a CSV file with a header and rows, got {uri} with none; correct it", key=KEY)
    (_, header), *rest = lines
    if double := next((name for name in header if header.count(name) > 1), None):
        raise ConfigError(f"must have different columns, got {double!r} twice in {uri}; rename one", key=KEY)
    return [dict(zip(header, cells_of(row, header, place=f"{uri}, line {line}"), strict=True)) for line, row in rest]


def read_lines(uri: str) -> list[tuple[int, list[str]]]:
    """Number and cells of each line that holds anything, the header first.

    Raises:
        ConfigError: there is no such file, or it is no CSV.
    """
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
        delimiter = next((sign for sign in (",", "\t", ";") if sign in text.lstrip().partition("\n")[0]), ",")
        lines = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter)
        found = [(lines.line_num, [cell.strip() for cell in line]) for line in lines]
    except MissingObjectError as exc:
        raise ConfigError(f"must be an existing file, got {uri}; check the path", key=KEY) from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise ConfigError(f"must be a CSV file in UTF-8, got {uri} ({exc}); save it as that", key=KEY) from exc
    return [(line, cells) for line, cells in found if any(cells)]


def cells_of(row: Sequence[str], header: Sequence[str], *, place: str) -> Sequence[str]:
    """As many cells as the header has; empty ones behind them do not count.

    Raises:
        ConfigError: there are fewer, or more.
    """
    cells, more = row[: len(header)], row[len(header) :]
    if len(cells) < len(header) or any(more):
        raise ConfigError(
            f"must have a cell for each of {len(header)} columns, got {len(row)} in {place}; fill it in, and put a "
            "cell that holds the separator in quotes",
            key=KEY,
        )
    return cells


def column_of(rows: Sequence[Row], names: Sequence[str]) -> str | None:
    """The first of some columns that a table has, in capitals or not; but an ``Index`` counts rows, no classes."""
    columns = {name if name.lower() == "index" else name.lower(): name for name in reversed(list(rows[0]))}
    return next((columns[name] for name in names if name in columns), None)


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
    """Class ids by image: of a table with a column of 0 and 1 for each class, or with a row for each label, whose class
    is empty where an image shows nothing.

    Raises:
        ConfigError: a column is missing, a class is unknown, or rows contradict each other.
    """
    by_row = [column for column in (column_of(rows, ID_COLUMNS), column_of(rows, NAME_COLUMNS)) if column is not None]
    if by_row and not any(name in rows[0] for name in ids.classes):
        found: dict[str, set[int]] = {row[image_column(rows)]: set() for row in rows}
        for image, class_id in pairs_in_table(told_rows(rows, by_row), ids, origin=origin):
            found[image].add(class_id)
        return {image: frozenset(labels) for image, labels in found.items()}
    missing = [name for name in ids.classes if name not in rows[0]]
    if missing:
        raise ConfigError(
            f"must have a column of 0 and 1 for each class, got none for {', '.join(missing[:3])}; add it", key=KEY
        )
    images, shown = image_column(rows), dict[str, frozenset[int]]()
    for row in rows:
        labels = frozenset(index for index, name in enumerate(ids.classes) if is_shown(row, name, origin=origin))
        if shown.setdefault(row[images], labels) != labels:
            raise ConfigError(
                f"must give each image once, got other labels in a second row for {row[images]} in {origin}; keep one",
                key=KEY,
            )
    return shown


def told_rows(rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """The rows in which one of some columns holds anything."""
    return [row for row in rows if any(row[column] for column in columns)]


def is_shown(row: Row, name: str, *, origin: str) -> bool:
    """Whether a row says that its image shows a class.

    Raises:
        ConfigError: it says something else than yes or no.
    """
    known = FLAGS.get(row[name].lower())
    if known is None:
        raise ConfigError(
            f"must hold 0 or 1 for each class, got {row[name]!r} for {name} in {origin}; correct it", key=KEY
        )
    return known


def pairs_in_table(rows: Sequence[Row], ids: ClassIds, *, origin: str) -> list[tuple[str, int]]:
    """Image and class id of each row; rows whose class is not to be counted are left out."""
    if not rows:
        return []
    images, by_id, by_name = image_column(rows), column_of(rows, ID_COLUMNS), column_of(rows, NAME_COLUMNS)
    if by_id is None and by_name is None:
        raise ConfigError(
            f"must have a column {' or '.join((*ID_COLUMNS, *NAME_COLUMNS))}, got {', '.join(rows[0])}; rename one",
            key=KEY,
        )
    may_be_empty = by_id is None and ids.has_map  # the map may say what no name means
    if empty := next(
        (row for row in rows if not row[images] or not (row[by_id or by_name or ""] or may_be_empty)), None
    ):
        raise ConfigError(
            f"must have an image and a class in every row, got {empty[images] or 'no image'} with "
            f"{empty[by_id or by_name or ''] or 'no class'} in {origin}; fill it in, or leave the row away",
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
