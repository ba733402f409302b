"""One name for a request in answers, problems and the log."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

HEADER = b"x-request-id"
SCOPE_KEY = "millrace.request_id"
_ids = random.Random()
_PLAIN = re.compile(rb"[A-Za-z0-9._:-]{1,64}")


def choose_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's own ``X-Request-Id`` where it is short and plain, else a new one of 16 hex digits."""
    for name, value in headers:
        if name == HEADER and _PLAIN.fullmatch(value):
            return value.decode("ascii")
    return f"{_ids.getrandbits(64):016x}"


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The id that the gate gave to this request, "" where it came past no gate."""
    return str(scope.get(SCOPE_KEY, ""))
