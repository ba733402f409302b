"""What the headers of a request say that matters here."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from serve.errors import InvalidRequestError
from serve.reply import Scope

TIMEOUT = b"x-request-timeout-seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """Headers, read once."""

    headers: Mapping[bytes, bytes]
    """By lower-case name; of those sent twice the last."""
    accept: bytes
    content_type: bytes
    timeout_s: float
    """For the whole answer."""
    started_s: float
    """When the headers were there, on the clock of ``time.perf_counter``."""

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.timeout_s - (time.perf_counter() - self.started_s)

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the headers were there."""
        return (time.perf_counter() - self.started_s) * 1000


def read_head(scope: Scope, *, timeout_s: float) -> RequestHead:
    """The head of an HTTP request.

    Args:
        scope: of the request.
        timeout_s: the longest that a request may take; it may ask for less.

    Raises:
        InvalidRequestError: the time that it asks for is none.
    """
    started_s = time.perf_counter()
    pairs: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(pairs)
    accept = headers.get(b"accept", b"")
    if len(headers) < len(pairs) and accept:
        accept = b", ".join(value for name, value in pairs if name == b"accept")
    asked = headers.get(TIMEOUT)
    return RequestHead(
        headers=headers,
        accept=accept,
        content_type=headers.get(b"content-type", b""),
        timeout_s=timeout_s if asked is None else min(timeout_s, read_timeout(asked)),
        started_s=started_s,
    )


def read_timeout(value: bytes) -> float:
    """Seconds of ``X-Request-Timeout-Seconds``.

    Raises:
        InvalidRequestError: it is no positive number.
    """
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        shown = value[:40].decode("latin-1")
        raise InvalidRequestError(f"x-request-timeout-seconds must be a positive number, got {shown!r}; correct it")
    return seconds
