"""List a job's input and store it part by part, so that work begins before a long listing ends."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol

import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import JobError, MissingObjectError
from inference_core.validation import Frozen, build_settings
from jobs.manifest import (
    MANIFEST_FOLDER,
    Manifest,
    Part,
    cut_parts,
    encode_part,
    num_bytes_of,
    part_metadata,
    part_name,
    read_refs,
)
from jobs.shards import MAX_ROWS, Shards, merge_runs
from jobs.sources.image_ref import ImageRef

LISTING_FILE = "listing.json"
LISTING_SCHEMA = 1
ROWS_AT_A_TIME = 4_096

NO_SHARDS = Shards(())

List = Callable[[], Iterable[ImageRef | None]]
"""Lists the input from its beginning; None for each entry that is left out."""


class Behind(Protocol):
    """Of a listing from its beginning, what comes behind what is stored."""

    def __call__(self, entries: Iterator[ImageRef], last: ImageRef, *, num_rows: int) -> Iterator[ImageRef]:
        """The images behind ``last``, which is the ``num_rows``-th."""


class StoredListing(Frozen):
    """``listing.json``: written when the whole input is listed."""

    schema_version: int
    num_rows: int
    num_bytes: int
    """Encoded bytes of all images as listed."""
    num_left_out: int
    """Entries that include and exclude left out."""
    shard_runs: tuple[tuple[int, int], ...]
    """(count, rows) pairs in order."""
    first_shards: tuple[int, ...]
    """Of each part of the manifest."""
    part_bytes: tuple[int, ...]
    """Size of each part's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is listed and stored so far."""

    num_rows: int = 0
    num_bytes: int = 0
    num_left_out: int = 0
    shards: Shards = NO_SHARDS
    first_shards: tuple[int, ...] = ()
    part_bytes: tuple[int, ...] = ()
    is_whole: bool = False
    """Whether the input holds no more."""

    def with_part(self, part: Part, *, size_bytes: int) -> Listing:
        """The listing with one more part, whose file has ``size_bytes``."""
        return replace(
            self,
            num_rows=self.num_rows + len(part.listing),
            num_bytes=self.num_bytes + num_bytes_of(part.listing),
            shards=Shards(merge_runs([*self.shards.runs, *part.shards.runs])),
            first_shards=(*self.first_shards, part.first_shard),
            part_bytes=(*self.part_bytes, size_bytes),
        )

    def manifest(self, output: str) -> Manifest:
        """Where the rows stand."""
        return Manifest(output, self.first_shards)


def read_listing(output: str) -> Listing | None:
    """The whole listing of a run, None where it was never completed.

    Raises:
        JobError: the file is damaged.
    """
    uri = storage.join(output, LISTING_FILE)
    try:
        data = json.loads(storage.read_bytes(uri))
        stored = build_settings(StoredListing, data, origin=uri)
    except MissingObjectError:
        return None
    except (ValueError, TypeError) as exc:
        raise JobError(f"{uri} must be this run's listing, got no JSON ({exc}); restore it") from exc
    return Listing(
        num_rows=stored.num_rows,
        num_bytes=stored.num_bytes,
        num_left_out=stored.num_left_out,
        shards=Shards(stored.shard_runs),
        first_shards=stored.first_shards,
        part_bytes=stored.part_bytes,
        is_whole=True,
    )


def check_parts(output: str, listing: Listing) -> None:
    """Raise JobError unless every part of a listing is there in its size."""
    folder = storage.join(output, MANIFEST_FOLDER)
    found = {f"{MANIFEST_FOLDER}/{entry.path}": entry.size_bytes for entry in storage.list_objects(folder)}
    for number, size_bytes in enumerate(listing.part_bytes):
        if found.get(part_name(number)) != size_bytes:
            raise JobError(
                f"{storage.join(output, part_name(number))} must have {size_bytes} bytes, got "
                f"{found.get(part_name(number), 'no such file')}; restore it, or clear the output and start again"
            )


def store_listing(
    output: str, list_input: List, *, behind: Behind, rows_per_shard: int | None, rows_later: int = MAX_ROWS
) -> Iterator[Listing]:
    """List an input, store it part by part, and give what is stored after each part.

    Parts that are there already, of this command or of one that was stopped, stay; the listing goes on behind them.

    Args:
        output: the run's folder or prefix.
        list_input: lists the input.
        behind: finds the place where an interrupted listing goes on.
        rows_per_shard: as for ``cut_parts``.
        rows_later: likewise.

    Yields:
        At least one listing; the last one is whole, and stored as such.

    Raises:
        JobError: another command stores another listing at the same place.
        StorageError: the input cannot be listed or a part not be stored.
    """
    known, last = read_stored_parts(output)
    left_out = Counter[str]()
    entries = drop_left_out(list_input(), left_out)
    unlisted = entries if last is None else behind(entries, last, num_rows=known.num_rows)
    if known.num_rows:
        yield known
    parts = cut_parts(
        unlisted,
        rows_per_shard=rows_per_shard,
        rows_later=rows_later,
        first_row=known.num_rows,
        first_shard=len(known.shards),
    )
    for part in parts:
        size_bytes = store_part(output, part, number=len(known.first_shards))
        known = replace(known.with_part(part, size_bytes=size_bytes), num_left_out=left_out["files"])
        if not part.is_last:
            yield known
    whole = replace(known, num_left_out=left_out["files"], is_whole=True)
    store_whole(output, whole)
    yield whole


def drop_left_out(entries: Iterable[ImageRef | None], left_out: Counter[str]) -> Iterator[ImageRef]:
    """The entries that are wanted; the others are counted in ``left_out["files"]``."""
    for entry in entries:
        if entry is None:
            left_out["files"] += 1
        else:
            yield entry


def read_stored(output: str, listing: Listing) -> Iterator[ImageRef]:
    """The stored listing, some thousand rows at a time."""
    for number in range(len(listing.first_shards)):
        with storage.open_for_read(storage.join(output, part_name(number))) as file:
            for batch in pq.ParquetFile(file).iter_batches(batch_size=ROWS_AT_A_TIME):
                yield from read_refs(batch)


def read_stored_parts(output: str) -> tuple[Listing, ImageRef | None]:
    """What is stored already, and its last image."""
    listing = Listing()
    last: ImageRef | None = None
    folder = storage.join(output, MANIFEST_FOLDER)
    for number, found in enumerate(list(storage.list_objects(folder))):
        uri = storage.join(output, part_name(number))
        metadata = part_metadata(uri)
        with storage.open_for_read(uri) as file:
            parquet = pq.ParquetFile(file, metadata=metadata)
            sizes = parquet.read(columns=["size_bytes"])
            last_rows = parquet.read_row_group(metadata.num_row_groups - 1)
        *_, last = read_refs(last_rows)
        runs = [(1, metadata.row_group(index).num_rows) for index in range(metadata.num_row_groups)]
        listing = replace(
            listing,
            num_rows=listing.num_rows + metadata.num_rows,
            num_bytes=listing.num_bytes + num_bytes_of(sizes),
            shards=Shards(merge_runs([*listing.shards.runs, *runs])),
            first_shards=(*listing.first_shards, len(listing.shards)),
            part_bytes=(*listing.part_bytes, found.size_bytes),
        )
    return listing, last


def store_part(output: str, part: Part, *, number: int) -> int:
    """Write a part unless it is there; its size in bytes."""
    uri, data = storage.join(output, part_name(number)), encode_part(part)
    if not storage.create(uri, data) and storage.read_bytes(uri) != data:
        raise JobError(
            f"{uri} must be this command's listing, got another's: two commands list the same input while it changes; "
            "run one of them again"
        )
    return len(data)


def store_whole(output: str, listing: Listing) -> None:
    """Write ``listing.json`` unless it is there."""
    stored = StoredListing(
        schema_version=LISTING_SCHEMA,
        num_rows=listing.num_rows,
        num_bytes=listing.num_bytes,
        num_left_out=listing.num_left_out,
        shard_runs=listing.shards.runs,
        first_shards=listing.first_shards,
        part_bytes=listing.part_bytes,
    )
    storage.create(storage.join(output, LISTING_FILE), stored.model_dump_json(indent=1).encode())


class ListingFeed(AbstractContextManager["ListingFeed"]):
    """Takes a listing from its stream on a thread of its own, so that work goes on beside it.

    Args:
        stream: what ``store_listing`` gives.
    """

    def __init__(self, stream: Iterator[Listing]) -> None:
        self._stream = stream
        self._latest: Listing | None = None
        self._error: BaseException | None = None
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="listing", daemon=True)

    def __enter__(self) -> ListingFeed:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_closed = True  # the thread ends behind the part that it is at

    def wait(self, *, num_known: int, patience_s: float) -> Listing:
        """What is listed, once there is something new.

        Args:
            num_known: shards that the caller knows of: it waits for more, or for the end of the listing.
            patience_s: once there is more, so long the listing may take to become whole.

        Raises:
            MillraceError: the listing failed, and nothing new is there.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_more(num_known) or self._error is not None)
            if not self._has_more(num_known) and self._error is not None:
                raise self._error
            self._changed.wait_for(lambda: self._is_over(), timeout=patience_s)
            assert self._latest is not None, "something is known"
            return self._latest

    def _has_more(self, num_known: int) -> bool:
        return self._latest is not None and (len(self._latest.shards) > num_known or self._latest.is_whole)

    def _is_over(self) -> bool:
        return self._error is not None or (self._latest is not None and self._latest.is_whole)

    def _run(self) -> None:
        try:
            for listing in self._stream:
                with self._changed:
                    self._latest = listing
                    self._changed.notify_all()
                if self._is_closed:
                    return
        except BaseException as exc:  # noqa: BLE001 - raised again where the listing is waited for
            with self._changed:
                self._error = exc
                self._changed.notify_all()
