"""HTTP/1.1 on a socket, for clients that cannot be trusted: uvicorn's protocol with limits of time, size and number.

uvicorn itself waits for ever for headers that come slowly, reads headers of any size, keeps a connection open whose
body never ends, and resets one that it answers before the body is there.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serve.config import HttpConfig, RequestLimits
from serve.errors import MalformedBodyError, ServeError, SlowSenderError, UnavailableError
from serve.lingering import LingeringTransport
from serve.problems import problem_reply
from serve.request_id import choose_request_id
from serve.security_headers import DEFAULTS

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers."""

logger = logging.getLogger(__name__)


class HeadTooLargeError(MalformedBodyError):
    """Request line and headers are over their limit."""

    http_status, kind, title = 431, "head-too-large", "Request header fields too large"


class GuardedProtocol(HttpToolsProtocol):
    """One connection. ``build_protocol`` sets the limits."""

    header_timeout_s: ClassVar[float]
    write_timeout_s: ClassVar[float]
    max_connections: ClassVar[int]

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _is_head_whole = False
    _is_message_whole = True
    """Whether no request is partly read."""
    _keeps_alive = True
    _is_stopping = False
    _num_head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        stream: Any = transport  # uvloop's own class derives from none of asyncio's
        self._lingering = LingeringTransport(stream, is_reading=lambda: not self._is_message_whole)
        super().connection_made(self._lingering)  # type: ignore[arg-type]
        if len(self.connections) > self.max_connections:
            self._is_message_whole = False  # its request is on the way
            self._refuse(UnavailableError("the service must have a connection free, but has none; try again later",
                                          retry_after_s=1))  # fmt: skip
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._head_is_there()
        self.resume_writing()
        self._lingering.forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._lingering.is_lingering:
            return
        super().data_received(data)
        if not self._is_head_whole and not self._is_message_whole:
            self._num_head_bytes += len(data)
            if self._num_head_bytes > MAX_HEAD_BYTES:
                self._refuse(
                    HeadTooLargeError(f"headers must be at most {MAX_HEAD_BYTES} bytes, got more; shorten them")
                )
            elif self._head_timer is None:
                self._await_head()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over as it was."""
        self._head_is_there()
        self._is_message_whole = True
        self._lingering.flush()
        self.transport = self._lingering.real
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """See httptools."""
        self._is_head_whole = self._is_message_whole = False
        self._num_head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. Trailers after a body are not headers, and nobody reads them."""
        if not self._is_head_whole:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._is_head_whole = True
        self._head_is_there()
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.more_body:
            # An answer before the end of the body ends the connection: what follows the body could not be found.
            self._keeps_alive, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_message_complete(self) -> None:
        """See httptools."""
        self._is_message_whole = True
        if self.cycle is not None and not self._is_stopping:
            self.cycle.keep_alive = self._keeps_alive
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server stops: this request is the last."""
        self._is_stopping = True
        super().shutdown()

    def pause_writing(self) -> None:
        """The client does not read its answer: it gets some time for that."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, or breaks in the middle of a body."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # whoever reads the body is told that no more of it comes
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self._refuse(MalformedBodyError("request must be HTTP/1.1, got bytes that are not; let a library write it"))

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.header_timeout_s, self._head_is_late)

    def _head_is_there(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._is_message_whole:  # nothing has come at all: there is nothing to answer
            self.transport.close()
            return
        self._refuse(
            SlowSenderError(
                f"headers must come within {self.header_timeout_s:g} s, got a part of them; send them faster"
            )
        )

    def _refuse(self, error: ServeError) -> None:
        """Answer without asking the application, and close."""
        self._head_is_there()
        if self.transport.is_closing():
            return
        request_id = choose_request_id(())
        reply = problem_reply(error, request_id=request_id)
        headers = (
            (b"content-type", reply.content_type),
            (b"content-length", b"%d" % len(reply.body)),
            (b"connection", b"close"),
            (b"x-request-id", request_id.encode()),
            *reply.headers,
            *DEFAULTS,
        )
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self._is_message_whole = False
        self.transport.write(STATUS_LINE[error.http_status] + lines + b"\r\n" + reply.body)
        self.transport.close()


def build_protocol(http: HttpConfig, limits: RequestLimits) -> type[GuardedProtocol]:
    """The protocol of a service, for ``uvicorn.Config(http=...)``."""
    members: dict[str, Any] = {
        "header_timeout_s": http.header_timeout_s,
        "write_timeout_s": http.body_timeout_s,
        "max_connections": limits.max_connections,
    }
    return type("ServiceProtocol", (GuardedProtocol,), members)
