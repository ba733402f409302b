"""Reading a request's body under limits: of bytes before and while it comes, and of time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic

from serve.body_budget import BodyShare
from serve.config import HttpConfig
from serve.errors import BodyTooLargeError, MalformedBodyError, SlowSenderError, UnsupportedTypeError
from serve.reply import Receive
from serve.watch import ClientGoneError


def check_body_headers(headers: Mapping[bytes, bytes], *, max_bytes: int) -> None:
    """Refuse what the headers say already; nothing of the body has been read.

    Raises:
        UnsupportedTypeError: the body is compressed as a whole.
        BodyTooLargeError: it is longer than ``max_bytes``.
        MalformedBodyError: its length is no number.
    """
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        raise UnsupportedTypeError(
            f"content-encoding must be identity, got {encoding[:40].decode('latin-1')}; send the body as it is"
        )
    length = headers.get(b"content-length")
    if length is None:
        return
    if not length.isdigit():
        raise MalformedBodyError("content-length must be a number, got something else; correct the header")
    if len(length) > 18 or int(length) > max_bytes:
        raise over_limit(max_bytes)


async def read_body(receive: Receive, *, max_bytes: int, http: HttpConfig, share: BodyShare) -> bytes:
    """The whole body.

    Args:
        receive: of the request.
        max_bytes: counted as the body comes, whatever its headers said.
        http: for how long.
        share: counts the bytes that are held.

    Raises:
        BodyTooLargeError: it is longer.
        SlowSenderError: nothing came for ``body_idle_timeout_s``, or the end not within ``body_timeout_s``.
        OverloadedError: the service holds too many bytes of bodies already.
        ClientGoneError: the client closed its connection before the end.
    """
    ends_at = monotonic() + http.body_timeout_s
    chunks: list[bytes] = []
    num_bytes = 0
    while True:
        patience_s = min(http.body_idle_timeout_s, ends_at - monotonic())
        try:
            async with asyncio.timeout(patience_s):
                message = await receive()
        except TimeoutError as exc:
            raise SlowSenderError(
                f"body must come within {http.body_timeout_s:g} s and without pauses of {http.body_idle_timeout_s:g} "
                f"s, got {num_bytes} bytes of it; send all that Content-Length says, and faster"
            ) from exc
        if message["type"] == "http.disconnect":
            raise ClientGoneError("the client closed its connection within the body")
        chunk: bytes = message.get("body", b"")
        if chunk:
            num_bytes += len(chunk)
            if num_bytes > max_bytes:
                raise over_limit(max_bytes)
            share.take(len(chunk))
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def over_limit(max_bytes: int) -> BodyTooLargeError:
    """The error of a body that is longer than it may be."""
    return BodyTooLargeError(f"body must be at most {max_bytes} bytes, got more; send fewer or smaller images")
