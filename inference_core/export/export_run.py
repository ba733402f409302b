"""Write a run's committed rows in another format: a part for each shard, then the parts merged into the format's files.

A part is a function of its shard alone, and is kept until all are merged: a command that was stopped goes on behind its
last part, and nothing but one shard is held at a time. What was written of the same rows already is left as it is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import BinaryIO

import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import JobError, MissingObjectError
from inference_core.export.build_writer import build_writer
from inference_core.export.committed_rows import committed_files, read_rows
from inference_core.export.export_source import ExportOptions, ExportSource
from inference_core.export.shard_part import Lines, MergedFile, ShardPart, Writer
from inference_core.export.table_lines import csv_line, csv_lines, json_lines
from inference_core.provenance import canonical_json, digest_of

EXPORT_SCHEMA = 2
"""Raised when a format is written otherwise."""
RECORD_FILE, PARTS = "export.json", "_parts"
WRITERS = 16
"""Files of single images that are written at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    format: str
    target: str
    files: tuple[str, ...]
    """Merged files, by path below the target."""
    num_images: int
    """Rows that are told."""
    num_objects: int
    """Objects in them."""
    num_left_out: int
    """Rows without an answer, which annotations have no place for."""
    num_image_files: int
    """Files of single images."""
    digest: str
    """Of the rows and the options; the same where nothing is to be done again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Of a shard's part; written last, so that a part with counts is whole."""

    images: int
    objects: int
    left_out: int
    image_files: int


def tell_nobody(num_rows: int) -> None:
    """Shows no progress."""


def export_run(
    source: ExportSource,
    name: str,
    target: str,
    options: ExportOptions,
    *,
    advance: Callable[[int], None] = tell_nobody,
) -> Exported:
    """Write one format.

    Args:
        source: the run. Only what is committed by now is told.
        name: of the format.
        target: folder or prefix of the format's files.
        options: what is told.
        advance: called with how many more rows are done.

    Raises:
        ConfigError: the run kept no masks, which the format needs.
        JobError: nothing is committed, or a file of the run is gone or damaged.
        StorageError: the target cannot be written.
    """
    shards = dict(committed_files(source.output))
    if not shards:
        raise JobError(f"{source.output} must have a committed shard to be exported, got none; run the job first")
    digest = digest_of([EXPORT_SCHEMA, name, asdict(options), asdict(source), list(shards.items())])
    if (found := read_record(target)) is not None and found.digest == digest:
        advance(found.num_images + found.num_left_out)
        return found
    exporter = Exporter(source, name, options, shards=shards)
    parts = storage.join(target, PARTS, digest[:16])
    counts = exporter.write_parts(parts, target, advance=advance)
    for path, pieces in exporter.merged_files.items():
        with storage.open_for_write(storage.join(target, *path.split("/"))) as file:
            write_merged(file, pieces, parts=parts, shard_ids=list(shards))
    exported = Exported(
        format=name,
        target=target,
        files=tuple(exporter.merged_files),
        num_images=sum(one.images for one in counts),
        num_objects=sum(one.objects for one in counts),
        num_left_out=sum(one.left_out for one in counts),
        num_image_files=sum(one.image_files for one in counts),
        digest=digest,
    )
    storage.replace(storage.join(target, RECORD_FILE), (canonical_json(asdict(exported)) + "\n").encode())
    remove_parts(storage.join(target, PARTS))
    return exported


def remove_parts(folder: str) -> None:
    """Remove what was merged, and what commands with other options or rows left."""
    storage.delete_many([entry.uri for entry in storage.list_objects(folder)])
    if storage.is_local(folder):
        shutil.rmtree(storage.local_path(folder), ignore_errors=True)  # the empty folders; other stores have none


def read_record(target: str) -> Exported | None:
    """What was written there before; None where that is unknown."""
    try:
        data = json.loads(storage.read_bytes(storage.join(target, RECORD_FILE)))
        return Exported(**{**data, "files": tuple(data["files"]), "target": target})
    except (MissingObjectError, ValueError, TypeError, KeyError):
        return None


class Exporter:
    """Makes the parts of one run in one format.

    Args:
        source: the run.
        name: of the format.
        options: what is told.
        shards: URI of each committed file of rows.
    """

    def __init__(self, source: ExportSource, name: str, options: ExportOptions, *, shards: Mapping[int, str]) -> None:
        self._source = source
        self._name = name
        self._options = options
        self._shards = shards
        self._is_table = name in ("csv", "jsonl")
        self._writer: Writer | None = None if self._is_table else build_writer(source, name, options, shards=shards)

    @property
    def merged_files(self) -> Mapping[str, MergedFile]:
        """The format's files."""
        if self._writer is not None:
            return self._writer.merged_files
        lines = Lines(section="rows", between="\n", closing="\n")
        if self._name == "jsonl":
            return {"rows.jsonl": (lines,)}
        with storage.open_for_read(next(iter(self._shards.values()))) as file:
            names = pq.read_schema(file).names
        return {"rows.csv": (csv_line(names) + "\n", lines)}

    def write_parts(self, parts: str, target: str, *, advance: Callable[[int], None]) -> list[Counts]:
        """Write the parts that are not there.

        Args:
            parts: where they go.
            target: where files of single images go.
            advance: called with how many more rows are done.
        """
        done = {entry.path for entry in storage.list_objects(parts)}
        counts = []
        for shard_id, uri in self._shards.items():
            marker = storage.join(parts, f"{shard_id:06d}.json")
            if f"{shard_id:06d}.json" in done:
                found = Counts(**json.loads(storage.read_bytes(marker)))
            else:
                found = self._write_part(shard_id, uri, parts=parts, target=target)
                storage.replace(marker, canonical_json(asdict(found)).encode())
            counts.append(found)
            advance(found.images + found.left_out)
        return counts

    def _write_part(self, shard_id: int, uri: str, *, parts: str, target: str) -> Counts:
        """Write all of a part but its counts."""
        part, found = self._part(uri)
        write_files(part.files, target)
        for section, lines in part.lines.items():
            storage.replace(part_uri(parts, shard_id, section), "\n".join(lines).encode("utf-8", "backslashreplace"))
        return found

    def _part(self, uri: str) -> tuple[ShardPart, Counts]:
        """One shard."""
        if self._writer is None:
            rows = read_rows(uri)
            lines = json_lines(rows) if self._name == "jsonl" else csv_lines(rows)
            return ShardPart(lines={"rows": lines}), Counts(images=len(rows), objects=0, left_out=0, image_files=0)
        rows = read_rows(uri, columns=self._source.columns)
        images = list(self._source.annotated(rows, self._options.wanted))
        part = self._writer.write(images)
        return part, Counts(
            images=len(images),
            objects=sum(len(image.objects) for image in images),
            left_out=len(rows) - len(images),
            image_files=len(part.files),
        )


def write_files(files: Mapping[str, bytes], target: str) -> None:
    """Write files of single images, several at a time."""
    uris = [storage.join(target, *path.split("/")) for path in files]
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda uri, data: storage.replace(uri, data, durable=False), uris, files.values()))


def write_merged(file: BinaryIO, pieces: MergedFile, *, parts: str, shard_ids: Sequence[int]) -> None:
    """Write a merged file, from start to end, holding one part at a time."""
    for piece in pieces:
        if isinstance(piece, str):
            file.write(piece.encode())
            continue
        number = 0
        for text in read_parts(parts, shard_ids, piece.section):
            for line in text.split("\n") if piece.is_numbered else (text,):
                number += 1
                entry = f'{{"id": {number}, {line[1:]}' if piece.is_numbered else line.replace("\n", piece.between)
                file.write((piece.between + entry if number > 1 else entry).encode())
        file.write(piece.closing.encode() if number else b"")


def read_parts(parts: str, shard_ids: Sequence[int], section: str) -> Iterator[str]:
    """The texts of a section that are not empty, in the order of shards."""
    uris = [part_uri(parts, shard_id, section) for shard_id in shard_ids]
    for uri, outcome in zip(uris, storage.read_many(uris, concurrency=4), strict=True):
        if isinstance(outcome, Exception):
            raise JobError(f"{uri} must be there until it is merged, got {outcome}; run the same command again")
        if outcome:
            yield outcome.decode()


def part_uri(parts: str, shard_id: int, section: str) -> str:
    """Where the lines of a section of a shard are kept."""
    return storage.join(parts, f"{shard_id:06d}.{section}.txt")
