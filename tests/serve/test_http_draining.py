from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import pytest

from serve.config import ServeConfig
from serve.http_draining import HttpServer
from serve.listener import bind

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def answer(scope: dict[str, Any], receive: object, send: Send) -> None:
    """ASGI that says 200 to everything."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def config_on(port: int) -> ServeConfig:
    return ServeConfig.model_validate({"models": [{"package": "none"}], "http": {"port": port}})


def ask(port: int) -> int | None:
    """The status of a request on a connection of its own; None where nobody listens."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        try:
            connection.connect()
        except ConnectionRefusedError:
            return None
        connection.request("GET", "/")
        return connection.getresponse().status


@pytest.mark.parametrize("clients", [1, 40])
def test_who_gets_in_while_the_door_closes_is_answered(clients: int) -> None:
    async def scenario() -> list[int | None]:
        bound = bind("127.0.0.1", 0)
        server = HttpServer(answer, config_on(0))
        await server.start(bound)
        assert await asyncio.to_thread(ask, server.port) == 200
        # Somebody who came before is still being let in, which takes a while on a busy loop.
        server._beginning.add(asyncio.ensure_future(asyncio.sleep(0.3)))
        draining = asyncio.ensure_future(server.drain(timeout_s=5))
        await asyncio.sleep(0.05)
        found = await asyncio.gather(*(asyncio.to_thread(ask, server.port) for _ in range(clients)))
        await draining
        return [*found, await asyncio.to_thread(ask, server.port)]

    found = asyncio.run(scenario())
    assert set(found) <= {200, None}
    assert found[-1] is None, "the door is closed behind the last one"


def test_who_stands_before_the_door_is_let_in() -> None:
    async def scenario() -> bytes:
        bound = bind("127.0.0.1", 0)
        server = HttpServer(answer, config_on(0))
        await server.start(bound)
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            draining = asyncio.ensure_future(server.drain(timeout_s=5))  # the loop has not looked at the door since
            client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            found = await asyncio.to_thread(client.recv, 1000)
        await draining
        return found

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 200")
