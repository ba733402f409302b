"""Reading whole objects from S3: one GET each, however it is limited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Any, cast

from inference_core.errors import StorageError, TooLargeError
from inference_core.storage.ordered import map_in_order
from inference_core.storage.s3_client import backoff_s, filesystem, start
from inference_core.storage.s3_errors import BROKEN_BODY_ERRORS, S3_ERRORS, translate_s3_error, translated
from inference_core.storage.store import ReadOutcome
from inference_core.storage.uris import split_bucket_key

BODY_ATTEMPTS = 4
"""How often an object is asked for where its body breaks off."""


def read(uri: str, *, max_bytes: int | None) -> bytes:
    """The whole object."""
    with translated(uri):
        return start(_get(uri, max_bytes=max_bytes)).result()


def read_many(uris: Iterable[str], *, concurrency: int, max_bytes: int | None) -> Iterator[ReadOutcome]:
    """The objects in order, ``concurrency`` requests at a time."""

    def submit(uri: str) -> Future[ReadOutcome]:
        return start(_outcome(uri, max_bytes=max_bytes))

    return map_in_order(submit, uris, concurrency=concurrency)


async def _outcome(uri: str, *, max_bytes: int | None) -> ReadOutcome:
    try:
        return await _get(uri, max_bytes=max_bytes)
    except (StorageError, TooLargeError) as error:
        return error
    except S3_ERRORS as error:
        return translate_s3_error(error, uri=uri)


async def _get(uri: str, *, max_bytes: int | None) -> bytes:
    bucket, key = split_bucket_key(uri)
    client = await filesystem().set_session()
    for attempt in range(BODY_ATTEMPTS):
        answer = await client.get_object(Bucket=bucket, Key=key)
        try:
            return await _body(answer, uri=uri, max_bytes=max_bytes)
        except BROKEN_BODY_ERRORS as error:
            broken = error
            await asyncio.sleep(backoff_s(attempt))
    raise broken


async def _body(answer: dict[str, Any], *, uri: str, max_bytes: int | None) -> bytes:
    # Leaving a body unread closes its connection, so an object over the limit is never held.
    async with answer["Body"] as body:
        if max_bytes is not None and answer["ContentLength"] > max_bytes:
            raise TooLargeError(
                f"object must be at most {max_bytes} bytes, got {answer['ContentLength']} at {uri!r}", uri=uri
            )
        return cast(bytes, await body.read())
