"""Lines of JSON on standard error: one event each, with its time."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def write_event(event: str, facts: Mapping[str, Any]) -> None:
    """Write one event.

    Args:
        event: its name.
        facts: what is to be said, as JSON takes it; numbers that are not finite become null, as JSON knows none.
    """
    sys.stderr.write(event_line(event, facts) + "\n")
    sys.stderr.flush()


def event_line(event: str, facts: Mapping[str, Any]) -> str:
    """The line of an event."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": time, "event": event, **finite(facts)}, allow_nan=False)


def finite(value: Any) -> Any:
    """The value with numbers that are not finite as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(part) for key, part in value.items()}
    return [finite(part) for part in value] if isinstance(value, list | tuple) else value
