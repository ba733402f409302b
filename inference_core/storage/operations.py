"""The storage operations: the same functions for local paths, ``s3://`` and every other fsspec URI.

All take URIs as text, so they can be called from any process without carrying a client along. Clients are made
once per process and shared by its threads. Endpoint and credentials come from the environment only.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import groupby
from typing import BinaryIO

from inference_core.errors import StorageError
from inference_core.storage.store import ObjectInfo, ReadOutcome, open_store
from inference_core.storage.uris import join, mask_secrets, scheme_of

PROBE_PREFIX = ".millrace-probe-"
"""Names of the objects that ``check_create_only`` writes; one is left behind where it is killed."""


def read_bytes(uri: str, *, max_bytes: int | None = None) -> bytes:
    """The whole object.

    Args:
        uri: path or URI.
        max_bytes: refuse an object over this size, None for no limit. What is over it is never held.

    Raises:
        TooLargeError: the object is over ``max_bytes``.
        MissingObjectError: nothing is there.
        StorageError: it could not be read after the retries.
    """
    return open_store(uri).read(uri, max_bytes=max_bytes)


def read_many(uris: Iterable[str], *, concurrency: int = 32, max_bytes: int | None = None) -> Iterator[ReadOutcome]:
    """Read objects concurrently and give one outcome per URI, in the order asked.

    Errors are given in the object's place, not raised. ``s3://`` costs one GET per object and nothing else. Reading
    goes on at most ``concurrency`` objects ahead of the consumer, which bounds what is held.

    Args:
        uris: paths and URIs of any mix; those of one kind should stand together, for speed.
        concurrency: reads in flight, at least 1.
        max_bytes: as in ``read_bytes``, for each object.

    Raises:
        ValueError: concurrency is below 1.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, got {concurrency}")
    return (
        outcome
        for _, run in groupby(uris, key=scheme_of)
        for outcome in _read_run(run, concurrency=concurrency, max_bytes=max_bytes)
    )


def create(uri: str, data: bytes, *, durable: bool = True) -> bool:
    """Write an object unless one is there; of any number of racing creators exactly one gets True.

    The object appears whole or not at all. Missing local folders are made.

    Args:
        uri: path or URI.
        data: the content.
        durable: wait until a local file and its name would survive a power cut. Remote stores always do.

    Returns:
        True where this call created it, False where something was there.

    Raises:
        StorageError: it could not be written, or the store has no create-only write.
    """
    return open_store(uri).create(uri, data, durable=durable)


def replace(uri: str, data: bytes, *, durable: bool = True) -> None:
    """Write an object over whatever is there; readers see the old or the new content, never a part.

    Raises:
        StorageError: it could not be written.
    """
    open_store(uri).replace(uri, data, durable=durable)


def list_objects(uri_prefix: str, *, recursive: bool = True) -> Iterator[ObjectInfo]:
    """The objects below a folder or prefix, streamed in the byte order of their paths, the same in every store.

    ``uri_prefix`` is a folder: ``s3://b/a`` lists ``a/x`` and not ``ab``. A prefix with nothing below it, or that
    names an object, gives nothing (``exists`` tells). Every object is given, also where its name starts with ``.``
    or ``_``. Not objects, and so not given: folders and their zero-byte markers on S3 (``a/``), local devices,
    sockets and pipes, and the unfinished files of this module (``.millrace-tmp-*``). Links are followed; a link to a
    folder that contains it is not entered. Bytes of local names that are no UTF-8 are escaped, and so are read again.

    Args:
        uri_prefix: a folder, prefix or bucket.
        recursive: False for only what lies directly in it.

    Raises:
        StorageError: it could not be listed.

    Cost: one page on S3; the names of one folder and its parents locally.
    """
    return open_store(uri_prefix).list_objects(uri_prefix, recursive=recursive)


def exists(uri: str) -> bool:
    """Whether there is an object at exactly this URI; a folder is none.

    On S3 a bucket that does not exist holds nothing, so the answer is False too.

    Raises:
        StorageError: it could not be found out.
    """
    return open_store(uri).exists(uri)


def delete_many(uris: Iterable[str]) -> None:
    """Remove objects; one that is absent already is no error.

    Raises:
        StorageError: at least one could not be removed; the others were tried.
    """
    for scheme, run in groupby(uris, key=scheme_of):
        open_store(f"{scheme}://").delete_many(run)


def open_for_read(uri: str) -> AbstractContextManager[BinaryIO]:
    """A context that gives a seekable file, for formats that are read in parts (Parquet, video, tar).

    Errors of the opening are translated; those of later reads are the OSErrors of any file.

    Raises:
        MissingObjectError: nothing is there.
        StorageError: it could not be opened.
    """
    return open_store(uri).open_for_read(uri)


def open_for_write(uri: str) -> AbstractContextManager[BinaryIO]:
    """A context that gives a file to be written from start to end; it appears when the context ends well.

    Where the context is left by an exception nothing appears and what was there stays.

    Raises:
        StorageError: it could not be opened or completed.
    """
    return open_store(uri).open_for_write(uri)


def remove_unfinished(uri_prefix: str, *, min_age_s: float = 86_400.0) -> int:
    """Remove what killed writers left below a prefix: temporary files, and on S3 open multipart uploads.

    Args:
        uri_prefix: a folder, prefix or bucket.
        min_age_s: leave what is younger, it may be in use.

    Returns:
        How many were removed.

    Raises:
        StorageError: one could not be removed.
    """
    return open_store(uri_prefix).remove_unfinished(uri_prefix, min_age_s=min_age_s)


def check_create_only(uri_prefix: str) -> None:
    """Find out whether ``create`` keeps its promise there: some stores accept ``If-None-Match`` and ignore it.

    Writes one object, tries to write it again and removes it.

    Raises:
        StorageError: it does not; two runs or attempts could overwrite each other's results.
    """
    uri = join(uri_prefix, f"{PROBE_PREFIX}{secrets.token_hex(8)}")
    try:
        is_kept = create(uri, b"first", durable=False) and not create(uri, b"second", durable=False)
    finally:
        delete_many([uri])
    if not is_kept:
        shown = mask_secrets(uri_prefix)
        raise StorageError(
            f"store must honour create-only writes, got a second write accepted at {shown!r}; "
            "update the store or write to a local folder",
            uri=shown,
        )


def check_reachable(uri_prefix: str, *, timeout_s: float = 5.0) -> None:
    """Find out fast whether a store answers and lets us in: one request to S3, nothing elsewhere.

    Args:
        uri_prefix: a folder, prefix or bucket; it may hold nothing.
        timeout_s: how long to wait for the answer once connected.

    Raises:
        StorageError: no credentials, no such bucket, no permission to list it, or no answer.
    """
    open_store(uri_prefix).check_reachable(uri_prefix, timeout_s=timeout_s)


def _read_run(run: Iterator[str], *, concurrency: int, max_bytes: int | None) -> Iterator[ReadOutcome]:
    first = next(run)
    # groupby's runs are lazy, so the first URI is put back in front of the rest.
    return open_store(first).read_many(_chain(first, run), concurrency=concurrency, max_bytes=max_bytes)


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
