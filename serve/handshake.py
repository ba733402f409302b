"""Who may open a WebSocket: what is checked before it is accepted, and how it is refused.

Browsers give no way to set headers there, so that a page offers its key as a subprotocol, beside ``millrace.v1``.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from serve.errors import ForbiddenError
from serve.reply import Reply, Scope, Send

SUBPROTOCOL = "millrace.v1"
KEY_PREFIX = "millrace.key."
POLICY_VIOLATION = 1008
DENIAL = "websocket.http.response"
"""Extension of ASGI servers that can answer a handshake with more than 403."""


def key_in_subprotocols(scope: Scope) -> str | None:
    """The key that a browser offers as ``millrace.key.KEY``."""
    offered: Sequence[str] = scope.get("subprotocols", ())
    return next((name.removeprefix(KEY_PREFIX) for name in offered if name.startswith(KEY_PREFIX)), None)


def chosen_subprotocol(scope: Scope) -> str | None:
    """Ours, where it is offered; never the key."""
    return SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None


def check_origin(scope: Scope, *, allowed: Sequence[str]) -> None:
    """Refuse pages of other origins, which browsers let open WebSockets to anywhere.

    Args:
        scope: of the handshake.
        allowed: origins that may, ``*`` for all.

    Raises:
        ForbiddenError: the page is not the service's own, and not on the list.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1")
    if not origin or urlsplit(origin).netloc == host or origin in allowed or "*" in allowed:
        return
    raise ForbiddenError(
        f"origin must be the service's own or one of security.cors_origins, got {origin[:120]}; add it there"
    )


async def refuse_handshake(reply: Reply, scope: Scope, send: Send) -> None:
    """Answer a handshake with a problem, where the server can; else with a bare 403."""
    if DENIAL not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    headers = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
    await send({"type": f"{DENIAL}.start", "status": reply.status, "headers": headers})
    await send({"type": f"{DENIAL}.body", "body": reply.body})
