"""Counts and logs what goes through an ASGI application, from outside of it."""

from __future__ import annotations

import re
from functools import lru_cache
from time import perf_counter
from typing import Any

from serve.metrics.visit import CURRENT, Visit
from serve.metrics.visits import Visits
from serve.reply import App, Message, Receive, Scope, Send
from serve.request_id import request_id_of

KIND = re.compile(rb'"(?:type":\s*"urn:millrace:problem:|kind":\s*")([a-z-]+)"')
"""In the body of a problem."""
CLIENT_GONE = "499"
"""What is noted where nobody was left to answer; nginx has it so."""
PLAIN_ROUTES = frozenset(
    {
        *("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/predict", "/v1/models", "/v1/stream"),
        *("/v1/explain", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/repository/index"),
    }
)
MODEL_ROUTE = re.compile(r"(/v[12]/models/)[^/]+(?:(/versions/)[^/]+)?((?:/[a-z]+)?)")
MODEL_ACTIONS = frozenset({"", "/explain", "/infer", "/predict", "/ready"})
PAGE_PREFIX = "/page/"
OTHER = "other"


class HttpObserver:
    """Wraps an application.

    Args:
        inner: answers.
        visits: told of each request.
    """

    def __init__(self, inner: App, visits: Visits) -> None:
        self._inner = inner
        self._visits = visits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or one WebSocket connection."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        visit = Visit(
            protocol=scope["type"],
            method=scope.get("method", "GET"),
            route=route_of(scope["path"]),
            started_s=perf_counter(),
        )
        token = CURRENT.set(visit)
        self._visits.begin(visit)
        try:
            await self._inner(scope, counting_receive(receive, visit), counting_send(send, visit))
        finally:
            CURRENT.reset(token)
            visit.request_id = request_id_of(scope)
            visit.status = visit.status or CLIENT_GONE
            self._visits.end(visit)


def counting_receive(receive: Receive, visit: Visit) -> Receive:
    """Counts the bytes that come."""

    async def counted() -> Message:
        message = await receive()
        visit.received_bytes += len(message.get("body") or message.get("bytes") or b"")
        return message

    return counted


def counting_send(send: Send, visit: Visit) -> Send:
    """Counts the bytes that go, and takes note of the status."""

    async def counted(message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.body", "websocket.send"):
            body = message.get("body") or message.get("bytes") or message.get("text") or b""
            visit.sent_bytes += len(body)
            if not visit.reason and visit.status >= "400":
                visit.reason = kind_of_problem(body)
        elif kind == "http.response.start":
            visit.status = str(message["status"])
        elif kind == "websocket.accept":
            visit.status = "101"
        await send(message)

    return counted


def kind_of_problem(body: Any) -> str:
    """What a problem is, out of its body; ``http-error`` for one that does not tell."""
    found = KIND.search(bytes(body)) if not isinstance(body, str) else None
    return found[1].decode() if found else "http-error"


@lru_cache(maxsize=1024)
def route_of(path: str) -> str:
    """The pattern of a path: there are few, whatever clients ask for."""
    if path in PLAIN_ROUTES:
        return path
    if path.startswith(PAGE_PREFIX):
        return PAGE_PREFIX
    found = MODEL_ROUTE.fullmatch(path)
    if found is None or found[3] not in MODEL_ACTIONS:
        return OTHER
    version = f"{found[2]}{{version}}" if found[2] else ""
    return f"{found[1]}{{model}}{version}{found[3]}"
