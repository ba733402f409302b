"""List a job's inputs: files of folders and prefixes, and images inside tables, tar files, videos and TIFF pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Literal

from inference_core import storage
from inference_core.errors import ConfigError, JobError
from jobs.sources.distinct_ids import DistinctIds
from jobs.sources.image_ref import ImageRef
from jobs.sources.table_rows import TABLE_ENDINGS, list_table
from jobs.sources.tar_members import list_tar
from jobs.sources.tiff_pages import TIFF_ENDINGS, list_pages
from jobs.sources.video_frames import VIDEO_ENDINGS, list_frames

SourceKind = Literal["auto", "images", "tables", "tar", "videos"]

TAR_ENDINGS = (".tar",)
ENDINGS: dict[SourceKind, tuple[str, ...]] = {"tables": TABLE_ENDINGS, "tar": TAR_ENDINGS, "videos": VIDEO_ENDINGS}
"""Of the files that hold images of a kind."""
GLOB_SIGNS = "*?["
DISTINCT_ROWS = 4_096
"""Rows of a table that are looked up at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """How inputs are read."""

    kind: SourceKind = "auto"
    """``auto``: a file by its ending, and all files of a folder as images."""
    uri_column: str | None = None
    bytes_column: str | None = None
    frames_per_s: float | None = 1.0
    """Of videos; None for every frame."""
    all_pages: bool = False
    """Whether every page of a TIFF file is an image."""


class Inputs:
    """The inputs of a job.

    Args:
        uris: folders, prefixes, files, or globs on the last part of a path.
        include: globs on the path below the input; an image must match one.
        exclude: globs; an image must match none.
        output: the run's own folder, left out where it lies below an input.
        options: how inputs are read.

    Raises:
        ConfigError: two inputs have the same name or lie inside each other.
    """

    def __init__(
        self,
        uris: Sequence[str],
        *,
        include: Sequence[str],
        exclude: Sequence[str],
        output: str,
        options: SourceOptions | None = None,
    ) -> None:
        check_apart(uris)
        self._uris = tuple(uris)
        self._prefixes = input_prefixes(uris)
        self._include, self._exclude = tuple(include), tuple(exclude)
        self._own_prefix = f"{output.rstrip('/')}/"
        self._options = options or SourceOptions()

    def list(self) -> Iterator[ImageRef | None]:
        """Every image of the inputs, in the order of the inputs and then of the paths.

        Yields:
            The image, or None for one that the globs leave out.

        Raises:
            ConfigError: one of several inputs holds nothing, a container cannot be read, or two images of tables
                have the same id.
            StorageError: an input cannot be listed.
        """
        ids_of_tables = DistinctIds()
        for uri, prefix in zip(self._uris, self._prefixes, strict=True):
            is_empty = True
            for found in list_files(uri):
                is_empty = False
                is_named = found.uri == uri
                if not found.uri.startswith(self._own_prefix):
                    own = "" if is_named else prefix  # the file's name is its id already
                    yield from self._list_file(found, prefix=own, is_named=is_named, seen=ids_of_tables)
            if is_empty and len(self._uris) > 1:
                raise ConfigError(
                    f"each must hold at least one file, got none below {storage.mask_secrets(uri)}; check the path",
                    key="input",
                )

    def behind(self, entries: Iterator[ImageRef], last: ImageRef, *, num_rows: int) -> Iterator[ImageRef]:
        """What a listing that was interrupted has still to store.

        Args:
            entries: the listing from its beginning.
            last: the last image that is stored.
            num_rows: images that are stored.

        Raises:
            JobError: a table was changed since.
        """
        if self.has_order:
            place = self.place(last)
            yield from (entry for entry in entries if self.place(entry) > place)
            return
        skipped = list(islice(entries, num_rows - 1, num_rows))
        if [entry.image_id for entry in skipped] != [last.image_id]:
            raise JobError(
                f"the input must stay as it is until it is listed, but its image {num_rows} is no longer "
                f"{last.image_id}; restore it, or choose another output"
            )
        yield from entries

    def _list_file(
        self, found: storage.ObjectInfo, *, prefix: str, is_named: bool, seen: DistinctIds
    ) -> Iterator[ImageRef | None]:
        """The images of a file; the file itself where it is one."""
        kind = self._kind_of(found.uri, is_named=is_named)
        entries: Iterable[ImageRef | None]
        options = self._options
        if kind == "tables":
            rows = list_table(found, prefix=prefix, uri_column=options.uri_column, bytes_column=options.bytes_column)
            entries = check_distinct(rows, seen, table_uri=found.uri)
        elif kind == "tar":
            entries = list_tar(found, prefix=prefix)
        elif kind == "videos":
            entries = list_frames(found, prefix=prefix, frames_per_s=options.frames_per_s)
        elif kind == "images":
            entries = self._list_images(found, prefix=prefix)
        else:
            entries = [None]
        for entry in entries:
            yield entry if entry is not None and self._is_wanted(entry.image_id.removeprefix(prefix)) else None

    def _list_images(self, found: storage.ObjectInfo, *, prefix: str) -> Iterator[ImageRef]:
        """The file, or its pages."""
        # A name may be a signed URL's, which ends in its signature.
        name = storage.mask_secrets(found.path) if "?" in found.path else found.path
        whole = ImageRef(image_id=f"{prefix}{name}", uri=found.uri, size_bytes=found.size_bytes, etag=found.etag)
        if self._options.all_pages and found.path.lower().endswith(TIFF_ENDINGS) and self._is_wanted(found.path):
            yield from list_pages(whole)
        else:
            yield whole

    def _kind_of(self, uri: str, *, is_named: bool) -> SourceKind | None:
        """What a file is read as; None for one that is not of the wanted kind."""
        chosen = self._options.kind
        if chosen == "images":
            return "images"
        fitting = next((kind for kind, endings in ENDINGS.items() if uri.lower().endswith(endings)), None)
        if chosen != "auto":
            return chosen if fitting == chosen else None
        return fitting if fitting is not None and is_named else "images"

    def _is_wanted(self, path: str) -> bool:
        return matches(path, self._include) and not matches(path, self._exclude)

    @property
    def has_order(self) -> bool:
        """Whether the listing is ordered by ``place``; rows of tables come as they stand there."""
        kinds = [self._options.kind, *(self._kind_of(uri, is_named=True) for uri in self._uris)]
        return "tables" not in kinds

    def place(self, entry: ImageRef) -> tuple[int, bytes, float]:
        """Where an image stands in the listing."""
        number = next((index for index, uri in enumerate(self._uris) if is_in_input(entry.uri, uri)), len(self._uris))
        parts = (entry.offset_bytes, entry.row, entry.page, entry.frame_index)
        return number, entry.uri.encode(), next((part for part in parts if part is not None), -1)


def list_files(uri: str) -> Iterator[storage.ObjectInfo]:
    """The files below a folder or prefix, the file itself, or those that a glob names."""
    folder, _, name = uri.rpartition("/")
    if any(sign in name for sign in GLOB_SIGNS) and not storage.exists(uri):
        for found in storage.list_objects(folder):
            if fnmatchcase(found.path.partition("/")[0], name):
                yield found
        return
    is_empty = True
    for found in storage.list_objects(uri):
        is_empty = False
        yield found
    if is_empty and storage.exists(uri):
        for found in storage.list_objects(folder, recursive=False):
            if found.path == name:
                yield found


def is_in_input(object_uri: str, uri: str) -> bool:
    """Whether an input lists an object."""
    folder, _, name = uri.rpartition("/")
    if any(sign in name for sign in GLOB_SIGNS) and object_uri.startswith(f"{folder}/"):
        return fnmatchcase(object_uri[len(folder) + 1 :].partition("/")[0], name)
    return object_uri == uri or object_uri.startswith(f"{uri.rstrip('/')}/")


def check_distinct(entries: Iterable[ImageRef], seen: DistinctIds, *, table_uri: str) -> Iterator[ImageRef]:
    """The images of a table, each with an id of its own.

    Args:
        entries: the images.
        seen: all ids so far; added to.
        table_uri: for the message.

    Raises:
        ConfigError: an id occurs again.
    """
    iterator = iter(entries)
    while batch := list(islice(iterator, DISTINCT_ROWS)):
        again = seen.add([entry.image_id for entry in batch])
        yield from batch[:again]
        if again is not None:
            raise ConfigError(
                f"image_id must be distinct, got {batch[again].image_id!r} again in {table_uri}; remove the row, or "
                "give a column image_id with a name of its own for each",
                key="input",
            )


def check_apart(inputs: Sequence[str]) -> None:
    """Raise ConfigError where an input lies inside another: its images would be planned twice."""
    for outer in inputs:
        for inner in inputs:
            if inner.startswith(f"{outer.rstrip('/')}/"):
                raise ConfigError(
                    storage.mask_secrets(f"must not lie inside each other, got {inner} in {outer}; remove one"),
                    key="input",
                )


def matches(path: str, globs: Sequence[str]) -> bool:
    """Whether a path matches one of the globs; ``*`` also matches slashes."""
    return any(fnmatchcase(path, glob) for glob in globs)


def input_prefixes(inputs: Sequence[str]) -> list[str]:
    """What each input's ids begin with: nothing for the only one, else its last name and a slash."""
    if len(inputs) == 1:
        return [""]
    names = [uri.rstrip("/").rpartition("/")[2] for uri in inputs]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ConfigError(
            f"must have distinct last names, got {', '.join(doubles)} more than once; rename a folder or run each "
            "alone",
            key="input",
        )
    return [f"{name}/" for name in names]
