"""The HTTP application on a real socket of this machine, in a thread of the test's own process."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import uvicorn
import uvloop
from PIL import Image

from serve.backend import Backend
from serve.config import ServeConfig
from serve.http_api import build_http_app
from serve.http_server import build_server_config
from serve.local_backend import LocalBackend

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back on a socket."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpService:
    """Where it answers."""

    port: int
    backend: Backend
    config: ServeConfig

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        """A plain connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    def talk(self, sent: bytes) -> Answered:
        """Send bytes as they are and read until the service closes the connection."""
        with closing(self.connect()) as connection:
            connection.sendall(sent)
            return read_answer(connection)


def read_answer(connection: socket.socket) -> Answered:
    """All that comes until the connection closes, as one answer."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answered(status=int(first.split(" ")[1]), headers=headers, body=body)


@contextmanager
def http_service(
    config: ServeConfig,
    *,
    build: Callable[[ServeConfig], Backend] = lambda config: LocalBackend.load(config, num_cpus=1),
) -> Iterator[HttpService]:
    """A service that listens while the block runs."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    backend = build(config)
    server = uvicorn.Server(build_server_config(build_http_app(backend, config), config))
    ready = threading.Event()

    async def serve() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[bound]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        ready.set()
        await serving
        if isinstance(backend, LocalBackend):
            await backend.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(30)
    try:
        yield HttpService(port=bound.getsockname()[1], backend=backend, config=config)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the service must stop"


def png(color: tuple[int, int, int], *, size: tuple[int, int] = (12, 8)) -> bytes:
    """An image of one colour, (width, height) pixels."""
    return encoded(Image.new("RGB", size, color))


def encoded(image: Image.Image, *, form: str = "PNG") -> bytes:
    """The bytes of an image."""
    buffer = io.BytesIO()
    image.save(buffer, format=form)
    return buffer.getvalue()


def two_halves() -> bytes:
    """Red on the left, blue on the right."""
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8, 0] = pixels[:, 8:, 2] = 255
    return encoded(Image.fromarray(pixels))


def http_request(*lines: str, body: bytes = b"") -> bytes:
    """A request as bytes; every line is sent as it is."""
    return "\r\n".join(["POST /v1/predict HTTP/1.1", "Host: test", *lines, "", ""]).encode("latin-1") + body
