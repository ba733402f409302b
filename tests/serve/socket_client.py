"""The client's side of a WebSocket application, without a network: each message is one step."""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from serve.reply import App, Message

PATIENCE_S = 20.0


class SocketClient:
    """One connection to an ASGI application.

    Args:
        app: the application.
        path: of the handshake.
        headers: of the handshake, names in lower case.
        subprotocols: that it offers.
    """

    def __init__(
        self,
        app: App,
        *,
        path: str = "/v1/stream",
        headers: dict[str, str] | None = None,
        subprotocols: tuple[str, ...] = (),
    ) -> None:
        self._scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "scheme": "ws",
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
            "subprotocols": list(subprotocols),
            "extensions": {"websocket.http.response": {}},
        }
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self.running = asyncio.ensure_future(self._app(self._scope, self._to_app.get, self._from_app.put))
        self._to_app.put_nowait({"type": "websocket.connect"})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None
    ) -> None:
        self.leave()
        async with asyncio.timeout(PATIENCE_S):
            await self.running

    async def raw(self) -> Message:
        """What the application does next."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._from_app.get()

    async def accepted(self) -> Message:
        """The answer to the handshake, which must be yes."""
        message = await self.raw()
        assert message["type"] == "websocket.accept", message
        return message

    async def refusal(self) -> tuple[int, dict[str, Any]]:
        """The answer to the handshake, which must be no: status and problem."""
        start, body = await self.raw(), await self.raw()
        return start["status"], json.loads(body["body"])

    def say(self, **message: Any) -> None:
        """Send JSON."""
        self.send(json.dumps(message))

    def send(self, content: str | bytes) -> None:
        """Send a text or a binary message."""
        kind = "text" if isinstance(content, str) else "bytes"
        self._to_app.put_nowait({"type": "websocket.receive", kind: content})

    def leave(self) -> None:
        """Close without a word."""
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def heard(self) -> dict[str, Any]:
        """The next JSON of the application."""
        message = await self.raw()
        assert message["type"] == "websocket.send", message
        found: dict[str, Any] = json.loads(message["text"])
        return found

    async def close_code(self) -> int:
        """The code that the application closes with."""
        message = await self.raw()
        assert message["type"] == "websocket.close", message
        return int(message["code"])
