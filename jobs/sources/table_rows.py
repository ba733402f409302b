"""Tables that name images or hold them: Parquet, CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import ConfigError, StorageError
from jobs.sources.image_ref import ImageRef

TABLE_ENDINGS = (".parquet", ".csv", ".jsonl", ".ndjson")
URI_COLUMNS = ("uri", "url", "path", "file", "file_name", "filename", "image")
"""Where a table names its images, the first that is there; ``source.uri_column`` names another."""
BYTES_COLUMNS = ("image", "bytes", "image_bytes", "content", "jpg", "png")
ID_COLUMN = "image_id"
BATCH_ROWS = 8_192


def list_table(
    found: storage.ObjectInfo, *, prefix: str, uri_column: str | None = None, bytes_column: str | None = None
) -> Iterator[ImageRef]:
    """The images of a table, in the order of its rows.

    Args:
        found: the file.
        prefix: what ids begin with, where the table gives none.
        uri_column: which column names the images; None for the first of URI_COLUMNS.
        bytes_column: of Parquet, which column holds encoded images; None for the first of BYTES_COLUMNS that holds
            bytes, or a struct with ``bytes``.

    Raises:
        ConfigError: the file cannot be read, has no such column, or a row names nothing.
    """
    if found.path.endswith(".parquet"):
        yield from list_parquet(found, prefix=prefix, uri_column=uri_column, bytes_column=bytes_column)
        return
    if bytes_column is not None:
        raise ConfigError(f"must be Parquet to hold images, got {found.uri}; remove the key", key="source.bytes_column")
    rows = read_csv(found.uri) if found.path.endswith(".csv") else read_json_lines(found.uri)
    chosen = uri_column
    for index, row in enumerate(rows):
        chosen = chosen or pick_column(tuple(row), URI_COLUMNS, uri=found.uri)
        yield named_image(row, index, uri_column=chosen, table_uri=found.uri)


def list_parquet(
    found: storage.ObjectInfo, *, prefix: str, uri_column: str | None, bytes_column: str | None
) -> Iterator[ImageRef]:
    """The images of a Parquet file."""
    try:
        with storage.open_for_read(found.uri) as file:
            parquet = pq.ParquetFile(file)
            schema = parquet.schema_arrow
            held = bytes_column or (None if uri_column else find_bytes_column(schema))
            if held is not None:
                check_bytes_column(schema, held, uri=found.uri)
                ids = [ID_COLUMN] if ID_COLUMN in schema.names else []
                yield from held_images(parquet, found, prefix=prefix, id_columns=ids)
                return
            chosen = uri_column or pick_column(tuple(schema.names), URI_COLUMNS, uri=found.uri)
            wanted = [name for name in (chosen, ID_COLUMN, "size_bytes", "etag") if name in schema.names]
            index = 0
            for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                for row in batch.to_pylist():
                    yield named_image(row, index, uri_column=chosen, table_uri=found.uri)
                    index += 1
    except (pa.ArrowException, UnicodeDecodeError) as exc:
        reason = " ".join(str(exc).split())
        raise ConfigError(f"must be a Parquet file, got {found.uri} ({reason}); write it again", key="input") from exc


def held_images(
    parquet: pq.ParquetFile, found: storage.ObjectInfo, *, prefix: str, id_columns: list[str]
) -> Iterator[ImageRef]:
    """One image for each row; sizes are not known without reading them."""
    num_rows = parquet.metadata.num_rows
    mean_bytes = found.size_bytes // max(num_rows, 1)
    ids: Iterator[str | None] = (
        (
            value
            for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=id_columns)
            for value in batch[0].to_pylist()
        )
        if id_columns
        else iter([None] * num_rows)
    )
    for row, image_id in enumerate(ids):
        yield ImageRef(
            image_id=str(image_id) if image_id is not None else f"{prefix}{found.path}/{row:09d}",
            uri=found.uri,
            size_bytes=mean_bytes,
            etag=found.etag,
            row=row,
        )


def find_bytes_column(schema: pa.Schema) -> str | None:
    """The first usual column that holds encoded images."""
    return next((name for name in BYTES_COLUMNS if name in schema.names and holds_bytes(schema.field(name).type)), None)


def check_bytes_column(schema: pa.Schema, name: str, *, uri: str) -> None:
    """Raise ConfigError unless a column holds bytes."""
    if name not in schema.names or not holds_bytes(schema.field(name).type):
        known = ", ".join(field.name for field in schema if holds_bytes(field.type)) or "none"
        raise ConfigError(
            f"must name a column of bytes, got {name!r} in {uri}, which has {known}", key="source.bytes_column"
        )


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether values are bytes, or structs with ``bytes`` as Hugging Face writes them."""
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def pick_column(names: tuple[str, ...], usual: tuple[str, ...], *, uri: str) -> str:
    """The first usual name that is there."""
    for name in usual:
        if name in names:
            return name
    raise ConfigError(
        f"must have a column {', '.join(usual[:-1])} or {usual[-1]}, got {', '.join(names)} in {uri}; name it in "
        "source.uri_column",
        key="input",
    )


def named_image(row: Mapping[str, Any], index: int, *, uri_column: str, table_uri: str) -> ImageRef:
    """The image that a row names; a relative path is below the table's folder."""
    value = row.get(uri_column)
    if not isinstance(value, str) or not value:
        raise ConfigError(
            f"must name an image in every row, got {value!r} in row {index + 1} of {table_uri}, column {uri_column}; "
            "correct it",
            key="input",
        )
    try:
        uri = (
            storage.normalise(value)
            if "://" in value or value.startswith("/")
            else storage.join(table_uri.rpartition("/")[0], value.removeprefix("./"))
        )
    except StorageError as exc:
        raise ConfigError(f"must name images, got row {index + 1} of {table_uri}: {exc}", key="input") from exc
    given = row.get(ID_COLUMN)
    size = row.get("size_bytes")
    image_id = str(given) if given not in (None, "") else storage.mask_secrets(value)
    if not (is_text(image_id) and is_text(uri)):
        raise ConfigError(
            f"must name images in valid Unicode, got {value!r} in row {index + 1} of {table_uri}; correct it",
            key="input",
        )
    return ImageRef(
        image_id=image_id,
        uri=uri,
        size_bytes=int(str(size)) if str(size).isdigit() else 0,
        etag=str(row.get("etag") or ""),
    )


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8: JSON can hold halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_csv(uri: str) -> Iterator[Mapping[str, Any]]:
    """Rows of a CSV file with a header."""
    with storage.open_for_read(uri) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        try:
            yield from csv.DictReader(text)
        except (csv.Error, UnicodeDecodeError) as exc:
            raise ConfigError(f"must be a CSV file in UTF-8, got {uri} ({exc}); write it again", key="input") from exc


def read_json_lines(uri: str) -> Iterator[Mapping[str, Any]]:
    """Objects of a JSON lines file."""
    with storage.open_for_read(uri) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as exc:
                raise ConfigError(
                    f"must hold a JSON object a line, got {uri} line {number} ({exc})", key="input"
                ) from exc
            if not isinstance(row, dict):
                raise ConfigError(f"must hold a JSON object a line, got {uri} line {number}; correct it", key="input")
            yield row
