"""HTTP and gRPC of one process: bound, answering, drained.

Several processes of a machine may share the ports: the kernel deals connections out among those that listen, so that a
new one can take over from an old one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from dataclasses import dataclass

from inference_core.errors import ConfigError
from serve.backend import Backend
from serve.config import ServeConfig
from serve.grpc_api import GrpcServer, build_grpc_server
from serve.http_api import build_http_app
from serve.http_draining import HttpServer
from serve.keys import authorizer, open_keys
from serve.metrics.observer import Observer
from serve.metrics.replica_files import shared_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a process answers."""

    http_host: str
    http_port: int
    grpc_host: str
    grpc_port: int | None
    """None where gRPC is off."""

    @property
    def url(self) -> str:
        """Of HTTP."""
        host = f"[{self.http_host}]" if ":" in self.http_host else self.http_host
        return f"http://{host}:{self.http_port}"

    @property
    def grpc_address(self) -> str | None:
        """Of gRPC, None where it is off."""
        return None if self.grpc_port is None else f"{self.grpc_host}:{self.grpc_port}"


class Listener:
    """Answers HTTP and gRPC for a backend; used on one event loop.

    Args:
        backend: the models.
        config: addresses, limits and times.
        shares_ports: whether other processes of this machine listen at the same ports.
        has_http: False where somebody else listens for HTTP and calls ``app``.
    """

    def __init__(
        self, backend: Backend, config: ServeConfig, *, shares_ports: bool = False, has_http: bool = True
    ) -> None:
        folder = shared_folder(config.http.port) if shares_ports else None
        self._observer = Observer(backend, access_log=config.access_log, folder=folder)
        self._config = config
        self._shares_ports = shares_ports
        self._has_http = has_http
        self._grpc: GrpcServer | None = None
        self._http: HttpServer | None = None
        self._keys = open_keys(config.security, folder=folder)
        app = build_http_app(self._observer.backend, config, keys=self._keys)
        app.router.routes.extend(self._observer.routes())
        self.app = self._observer.around(app)
        """All that is answered over HTTP, as ASGI."""

    async def start(self) -> Addresses:
        """Answer from now on.

        Raises:
            ConfigError: a port is taken.
            UnavailableError: the port of gRPC is taken.
        """
        config = self._config
        self._observer.start()
        if self._has_http:
            self._http = HttpServer(self.app, config)
            await self._http.start(bind(config.http.host, config.http.port, shares=self._shares_ports))
        if config.grpc.is_on:
            self._grpc = build_grpc_server(
                self._observer.backend,
                config,
                authorize=authorizer(self._keys),
                shares_port=self._shares_ports,
                interceptors=[self._observer.interceptor()],
            )
            await self._grpc.start()
        return Addresses(
            http_host=config.http.host,
            http_port=self._http.port if self._http else config.http.port,
            grpc_host=config.grpc.host,
            grpc_port=self._grpc.port if self._grpc else None,
        )

    async def drain(self, *, timeout_s: float) -> None:
        """Accept no connection more, answer what comes on those that are open for a moment, then close them all."""
        stopping: list[Awaitable[None]] = []
        if self._grpc is not None:
            stopping.append(self._grpc.stop(timeout_s))
        if self._http is not None:
            stopping.append(self._http.drain(timeout_s=timeout_s))
        await asyncio.gather(*stopping)
        await self._observer.close()


def bind(host: str, port: int, *, shares: bool = False) -> socket.socket:
    """A TCP socket bound to an address, not listening.

    Args:
        host: name or number.
        port: 0 for a free one.
        shares: whether others may be bound to the same, too.

    Raises:
        ConfigError: it is taken, or no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Those that it accepts inherit it. The event loop would not set it, and an answer's body would wait for the client
    # to acknowledge its headers: 40 ms.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if shares:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError as exc:
        bound.close()
        raise ConfigError(
            f"must be a free address of this machine, got {host}:{port} ({exc.strerror})", key="port"
        ) from exc
    return bound
