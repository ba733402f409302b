"""A line for each request, written by a thread of its own: who answers never waits for a terminal or a disk."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from serve.metrics.visit import Visit

AccessLogKind = Literal["none", "text", "json"]
MAX_WAITING = 10_000
"""Lines that wait; where more come than can be written, lines are lost rather than memory."""
CLOSE_S = 5.0

Line = tuple[float, float, Visit]
"""When the request ended, seconds since 1970; how long it took; the request."""


class LineStream(Protocol):
    """Takes lines."""

    def write(self, line: str, /) -> object:
        """Take a line."""

    def flush(self) -> object:
        """Hold nothing back."""


class AccessLog:
    """Writes lines until it is closed.

    Args:
        kind: ``text`` or ``json``.
        stream: where to; None for standard output.
    """

    def __init__(self, kind: Literal["text", "json"], *, stream: LineStream | None = None) -> None:
        self._write_line = json_line if kind == "json" else text_line
        self._stream: LineStream = stream or sys.stdout
        self._waiting: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self.num_lost = 0
        self._thread = threading.Thread(target=self._work, name="access-log", daemon=True)
        self._thread.start()

    def write(self, visit: Visit, *, seconds: float) -> None:
        """Take a request that is over; nobody changes it any more."""
        if self._waiting.qsize() >= MAX_WAITING:
            self.num_lost += 1
            return
        self._waiting.put((time.time(), seconds, visit))

    def close(self) -> None:
        """Write what waits and end."""
        self._waiting.put(None)
        self._thread.join(CLOSE_S)

    def _work(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._stream.write(self._write_line(*line))
                if self._waiting.empty():
                    self._stream.flush()
            except (OSError, ValueError):  # the stream is closed, or nobody reads it
                self.num_lost += 1


def build_access_log(kind: AccessLogKind, *, stream: LineStream | None = None) -> AccessLog | None:
    """The log of a setting; None for ``none``."""
    return None if kind == "none" else AccessLog(kind, stream=stream)


def json_line(ended_s: float, seconds: float, visit: Visit) -> str:
    """A request as a JSON object."""
    return json.dumps(line_fields(ended_s, seconds, visit), separators=(",", ":")) + "\n"


def text_line(ended_s: float, seconds: float, visit: Visit) -> str:
    """A request for the eye."""
    model = f" {visit.model} images={visit.num_images} batch={visit.batch_size}" if visit.model else ""
    cached = f" cached={visit.num_cached}" if visit.num_cached else ""
    reason = f" {visit.reason}" if visit.reason else ""
    return (
        f"{time_text(ended_s)} {visit.protocol} {visit.method} {visit.route} {visit.status}{reason} "
        f"{seconds * 1000:.1f}ms in={visit.received_bytes} out={visit.sent_bytes}{model}{cached} "
        f"id={visit.request_id}\n"
    )


def line_fields(ended_s: float, seconds: float, visit: Visit) -> dict[str, Any]:
    """What is told of a request; never its content, its query, its key or its address."""
    fields: dict[str, Any] = {
        "time": time_text(ended_s),
        "request_id": visit.request_id,
        "protocol": visit.protocol,
        "method": visit.method,
        "route": visit.route,
        "status": visit.status,
        "reason": visit.reason,
        "total_ms": round(seconds * 1000, 3),
        "received_bytes": visit.received_bytes,
        "sent_bytes": visit.sent_bytes,
    }
    if visit.model:
        fields |= {
            "model": visit.model,
            "digest": visit.digest,
            "images": visit.num_images,
            "cached": visit.num_cached,
            "batch_size": visit.batch_size,
            "queue_ms": round(visit.queue_ms, 3),
            "prepare_ms": round(visit.prepare_ms, 3),
            "infer_ms": round(visit.infer_ms, 3),
            "finish_ms": round(visit.finish_ms, 3),
        }
    return fields


def time_text(seconds: float) -> str:
    """A moment in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
