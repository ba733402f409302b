"""The rows of a run together with the bytes that they are of, as far as these can be sent as a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import MillraceError
from inference_core.export.committed_rows import iterate_results
from inference_core.export.native_source import native_source
from inference_core.provenance import sha256_hex

MANIFEST_FOLDER = "manifest"
PLACE_COLUMNS = ("row_id", "size_bytes", "offset_bytes", "row", "page", "frame_index")
READ_AHEAD = 16
"""Images that are read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One row of a run and its image."""

    values: Mapping[str, Any]
    """By column, as the run wrote it."""
    schema: pa.Schema
    """Of the run's rows."""
    image: bytes = b""
    mask_png: bytes | None = None
    """The mask that the run wrote."""
    skipped: str = ""
    """Why the image cannot be sent as a file, "" where it can."""
    lost: str = ""
    """Why it cannot be sent any more, "" where it can."""

    @property
    def model_digest(self) -> str:
        """Of the run's model."""
        metadata: Mapping[bytes, bytes] = self.schema.metadata or {}
        return metadata.get(b"millrace.model_digest", b"").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the bytes of an image lie in its object."""

    size_bytes: int
    offset_bytes: int | None
    skipped: str
    """Why they are no file, "" where they are."""


def iterate_run(output: str, *, limit: int | None = None, with_masks: bool = True) -> Iterator[RunRow]:
    """The rows of a run in their order, each with its image.

    Args:
        output: the run's folder or prefix.
        limit: rows at most.
        with_masks: whether to read the masks that the run wrote.

    Raises:
        JobError: a commit record or its file is gone or damaged.
        StorageError: the output cannot be read.
    """
    uri = storage.normalise(output)
    left = limit
    for shard in iterate_results(uri):
        if left is not None and left <= 0:
            return
        rows = shard.rows if left is None else shard.rows.slice(0, left)
        left = None if left is None else left - len(rows)
        places = read_places(uri, shard_id=shard.shard_id)
        values = iter(rows.to_pylist())
        while chunk := list(islice(values, READ_AHEAD)):
            yield from read_images(uri, chunk, places, schema=rows.schema, with_masks=with_masks)


def read_places(output: str, *, shard_id: int) -> Mapping[int, Place]:
    """Where the images of a shard lie, by row id; see docs/output-schema.md on ``manifest/``."""
    for found in storage.list_objects(storage.join(output, MANIFEST_FOLDER), recursive=False):
        if not found.path.endswith(".parquet"):
            continue
        with storage.open_for_read(found.uri) as file:
            table = pq.read_table(
                native_source(file), columns=list(PLACE_COLUMNS), filters=[("shard_id", "==", shard_id)]
            )
        if len(table):
            return {row["row_id"]: place_of(row) for row in table.to_pylist()}
    return {}


def place_of(row: Mapping[str, Any]) -> Place:
    """One place from a manifest row."""
    reasons = {
        "frame_index": "a frame of a video is no file",
        "page": "a page of a file is no file of its own",
        "row": "a cell of a table is no file",
    }
    skipped = next((reason for name, reason in reasons.items() if row[name] is not None), "")
    return Place(size_bytes=row["size_bytes"], offset_bytes=row["offset_bytes"], skipped=skipped)


def read_images(
    output: str,
    rows: Sequence[Mapping[str, Any]],
    places: Mapping[int, Place],
    *,
    schema: pa.Schema,
    with_masks: bool,
) -> Iterator[RunRow]:
    """Rows with their images, in order."""
    for row in rows:
        place = places.get(row["row_id"])
        skipped = place.skipped if place else "the run's manifest does not list it"
        if row["status"] == "fetch_error":
            skipped = "the run could not read it"
        if skipped:
            yield RunRow(values=row, schema=schema, skipped=skipped)
            continue
        assert place is not None, "a row that is in no manifest is skipped"
        try:
            image = read_image(row["uri"], place)
            path = row.get("mask_path") if with_masks else None
            mask_png = None if path is None else storage.read_bytes(storage.join(output, *path.split("/")))
        except (MillraceError, OSError) as exc:
            yield RunRow(values=row, schema=schema, lost=f"cannot be read any more: {exc}")
            continue
        is_same = row["sha256"] in ("", sha256_hex(image))  # "" where the run refused it by its size alone
        lost = "" if is_same else "its bytes were changed since the run"
        yield RunRow(values=row, schema=schema, image=image, mask_png=mask_png, lost=lost)


def read_image(uri: str, place: Place) -> bytes:
    """The bytes of one image."""
    if place.offset_bytes is None:
        return storage.read_bytes(uri)
    with storage.open_for_read(uri) as file:
        file.seek(place.offset_bytes)
        return file.read(place.size_bytes)
