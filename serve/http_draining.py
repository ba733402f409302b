"""One HTTP server that can be stopped without anybody's losing a request."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import uvicorn

from serve.config import ServeConfig
from serve.http_server import build_server_config

IDLE_S = 1.0
"""How long clients that keep connections open may take for a next request, whose answer then tells them to close."""
SETTLE_S = 0.05
"""Time for connections that the loop has accepted but not told of yet."""
CLOSE = (b"connection", b"close")
MAX_ACCEPTS = 256
"""Connections that one turn of the loop takes in."""


class HttpServer:
    """uvicorn on a socket; used on one event loop.

    Args:
        app: ASGI.
        config: limits and times.
    """

    def __init__(self, app: Any, config: ServeConfig) -> None:
        self._settings = build_server_config(app, config)
        self._settings.load()
        self._server = uvicorn.Server(self._settings)
        self.port = 0
        """Bound, also where the settings leave it open."""

    async def start(self, bound: socket.socket) -> None:
        """Listen on a bound socket."""
        self.port = bound.getsockname()[1]
        self._spare = bound.dup()  # keeps the door there when uvicorn has closed its side of it
        self._spare.setblocking(False)
        self._beginning: set[asyncio.Future[Any]] = set()
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[bound]))
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(0.005)
        if self._serving.done():
            self._serving.result()
        asyncio.get_running_loop().add_reader(self._spare, self._take_in)

    async def drain(self, *, timeout_s: float) -> None:
        """Accept no connection more, answer what comes on those that are open for a moment, then close them all.

        Args:
            timeout_s: for what is under way; cut off after that.
        """
        begun_s = time.monotonic()
        await self._stop_accepting()
        self._ask_to_close()
        await asyncio.sleep(SETTLE_S)
        while self._server.server_state.connections and time.monotonic() - begun_s < min(timeout_s, IDLE_S):
            await asyncio.sleep(0.05)
        self._settings.timeout_graceful_shutdown = max(1, round(timeout_s - (time.monotonic() - begun_s)))
        self._server.should_exit = True
        await self._serving

    def _take_in(self) -> bool:
        """Accept all who stand before the door. uvloop takes one in each turn of the loop: hundreds who come at once,
        while the service has much to do, would wait for that many turns, each of them long.

        Returns:
            Whether there may be more.
        """
        for _ in range(MAX_ACCEPTS):
            try:
                connection, _ = self._spare.accept()
            except OSError:  # nobody is there any more, or the process may have no more files open: then uvloop waits
                return False
            self._begin(connection)
        return True

    def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        task = asyncio.ensure_future(
            asyncio.get_running_loop().connect_accepted_socket(self._build_protocol, connection)
        )
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _stop_accepting(self) -> None:
        """Close the door, but take in who stands before it: connections that the kernel accepted for us already.

        Nothing may lie between the last look and the closing: who came meanwhile would be cut off.
        """
        for server in self._server.servers:
            server.close()
        asyncio.get_running_loop().remove_reader(self._spare)
        while self._take_in():
            pass
        self._spare.close()
        await asyncio.gather(*self._beginning)

    def _build_protocol(self) -> asyncio.Protocol:
        build: Any = self._settings.http_protocol_class
        protocol: asyncio.Protocol = build(config=self._settings, server_state=self._server.server_state, app_state={})
        return protocol

    def _ask_to_close(self) -> None:
        """From now on, answers tell clients that their connection closes."""
        self._settings.encoded_headers.append(CLOSE)  # what uvicorn's next tick makes the default of
        self._server.server_state.default_headers = [*self._server.server_state.default_headers, CLOSE]
