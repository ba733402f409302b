"""Amazon S3 and stores that speak its protocol."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import groupby
from typing import Any, BinaryIO, cast

from inference_core.errors import MissingObjectError, StorageError
from inference_core.storage.s3_client import call, filesystem, start_call
from inference_core.storage.s3_errors import refusal, translated
from inference_core.storage.s3_probe import check_reachable as check_reachable
from inference_core.storage.s3_read import read as read
from inference_core.storage.s3_read import read_many as read_many
from inference_core.storage.s3_write import create as create
from inference_core.storage.s3_write import open_for_write as open_for_write
from inference_core.storage.s3_write import remove_unfinished as remove_unfinished
from inference_core.storage.s3_write import replace as replace
from inference_core.storage.store import ObjectInfo
from inference_core.storage.uris import split_bucket_key

DELETE_BATCH = 1000
"""Objects per DeleteObjects request, S3's limit."""
READ_AHEAD_BYTES = 8 << 20
"""What a file that is opened for reading fetches at once."""


def list_objects(uri_prefix: str, *, recursive: bool) -> Iterator[ObjectInfo]:
    """The objects below a prefix, page by page; the next page is fetched while one is used."""
    bucket, key = split_bucket_key(uri_prefix)
    prefix = key if not key or key.endswith("/") else f"{key}/"
    delimiter = "" if recursive else "/"
    page: Future[Any] | None = start_call("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter=delimiter)
    try:
        while page is not None:
            with translated(uri_prefix):
                answer = page.result()
            page = None
            if answer["IsTruncated"]:
                page = start_call(
                    "list_objects_v2",
                    Bucket=bucket,
                    Prefix=prefix,
                    Delimiter=delimiter,
                    ContinuationToken=answer["NextContinuationToken"],
                )
            yield from _objects(answer.get("Contents", ()), bucket=bucket, prefix=prefix)
    finally:
        if page is not None:
            page.cancel()


def exists(uri: str) -> bool:
    """Whether the key is there, by one HEAD."""
    bucket, key = split_bucket_key(uri)
    if not key:
        return False
    try:
        with translated(uri):
            call("head_object", Bucket=bucket, Key=key)
    except MissingObjectError:
        return False
    return True


def delete_many(uris: Iterable[str]) -> None:
    """Remove objects, a thousand per request."""
    failures: list[StorageError] = []
    for bucket, run in groupby(map(split_bucket_key, uris), key=lambda bucket_key: bucket_key[0]):
        keys = [key for _, key in run]
        for first in range(0, len(keys), DELETE_BATCH):
            failures += _delete_batch(bucket, keys[first : first + DELETE_BATCH])
    if failures:
        raise failures[0]


@contextmanager
def open_for_read(uri: str) -> Iterator[BinaryIO]:
    """A file over ranged GETs."""
    bucket, key = split_bucket_key(uri)
    with translated(uri):
        file = filesystem().open(f"{bucket}/{key}", "rb", block_size=READ_AHEAD_BYTES)
    with file:
        yield cast(BinaryIO, file)


def _objects(entries: Iterable[dict[str, Any]], *, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
    for entry in entries:
        if entry["Size"] == 0 and entry["Key"].endswith("/"):
            continue  # what the console makes for an empty folder
        yield ObjectInfo(
            uri=f"s3://{bucket}/{entry['Key']}",
            path=entry["Key"][len(prefix) :],
            size_bytes=entry["Size"],
            etag=entry["ETag"].strip('"'),
            mtime_s=entry["LastModified"].timestamp(),
        )


def _delete_batch(bucket: str, keys: list[str]) -> list[StorageError]:
    try:
        with translated(f"s3://{bucket}/{keys[0]}"):
            answer = call(
                "delete_objects", Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
    except StorageError as error:
        return [error]
    return [refusal(entry["Code"], uri=f"s3://{bucket}/{entry['Key']}") for entry in answer.get("Errors", ())]
