"""Keep standard error machine-readable: what the core says there of a package's code becomes an event."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from inference_core.hooks.package_modules import LOGGER


class JsonHandler(logging.Handler):
    """Writes each message as a line of JSON."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        sys.stderr.write(json.dumps({"event": "package_code", "message": record.getMessage()}) + "\n")


@contextmanager
def json_notices(*, is_on: bool) -> Iterator[None]:
    """Notices as JSON until the context ends, if asked for; else as they are."""
    if not is_on:
        yield
        return
    handler, propagates = JsonHandler(), LOGGER.propagate
    LOGGER.addHandler(handler)
    LOGGER.propagate = False
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.propagate = propagates
