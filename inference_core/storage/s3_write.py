"""Writing objects to S3: whole, create-only, or as a stream."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from botocore.exceptions import ClientError

from inference_core.storage.s3_client import backoff_s, call, filesystem, start
from inference_core.storage.s3_errors import http_status, translated
from inference_core.storage.uris import split_bucket_key

CONFLICT_ATTEMPTS = 6
"""How often a create is repeated that the store refused because another write to the key was under way."""
_TOKEN_KEY = "millrace-create"


def create(uri: str, data: bytes, *, durable: bool) -> bool:
    """Put with ``If-None-Match: *``, so that the store decides who was first; S3 is always durable."""
    bucket, key = split_bucket_key(uri)
    with translated(uri):
        return start(_create(bucket, key, data)).result()


def replace(uri: str, data: bytes, *, durable: bool) -> None:
    """Put, which is atomic and durable on S3."""
    bucket, key = split_bucket_key(uri)
    with translated(uri):
        call("put_object", Bucket=bucket, Key=key, Body=data)


@contextmanager
def open_for_write(uri: str) -> Iterator[BinaryIO]:
    """A file that becomes one PUT, or a multipart upload where it is over 50 MB."""
    bucket, key = split_bucket_key(uri)
    with translated(uri):
        file = filesystem().open(f"{bucket}/{key}", "wb")
    try:
        yield cast(BinaryIO, file)
    except BaseException:
        # Closing would complete the upload of what was written so far.
        with translated(uri):
            file.discard()
        file.closed = True
        raise
    with translated(uri):
        file.close()


def remove_unfinished(uri_prefix: str, *, min_age_s: float) -> int:
    """Abort multipart uploads that were begun over ``min_age_s`` ago; their parts are invisible but cost money."""
    bucket, key = split_bucket_key(uri_prefix)
    prefix = key if not key or key.endswith("/") else f"{key}/"
    newest_s = time.time() - min_age_s
    num_removed = 0
    marker: dict[str, str] | None = {}
    with translated(uri_prefix):
        while marker is not None:
            answer = call("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **marker)
            for upload in answer.get("Uploads", ()):
                if upload["Initiated"].timestamp() <= newest_s:
                    call("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                    num_removed += 1
            marker = _next_uploads(answer)
    return num_removed


def _next_uploads(answer: dict[str, Any]) -> dict[str, str] | None:
    if not answer.get("IsTruncated"):
        return None
    return {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}


async def _create(bucket: str, key: str, data: bytes) -> bool:
    client = await filesystem().set_session()
    token = secrets.token_hex(16)
    for attempt in range(CONFLICT_ATTEMPTS):
        try:
            await client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", Metadata={_TOKEN_KEY: token})
        except ClientError as error:
            if http_status(error) == 412:
                return await _is_ours(client, bucket, key, token)
            if http_status(error) != 409:
                raise
            conflict = error
            await asyncio.sleep(backoff_s(attempt))
        else:
            return True
    raise conflict


async def _is_ours(client: Any, bucket: str, key: str, token: str) -> bool:
    """Whether the object that is in the way is the one that this call put.

    A PUT whose answer got lost is repeated by botocore, and the repetition is refused: the object's token tells.
    """
    try:
        answer = await client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if http_status(error) == 404:
            return False
        raise
    return bool(answer["Metadata"].get(_TOKEN_KEY) == token)
