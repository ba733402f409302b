"""The service's subcommands of ``millrace``: serve, stream, replay."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from inference_core.commands.model_facts import MODEL_HELP
from inference_core.errors import MillraceError
from serve.config import LOOPBACK, ServeConfig
from serve.key_command import register as register_keys
from serve.replay.command import replay_run
from serve.settings import read_settings
from serve.stream_command import stream_source

if TYPE_CHECKING:
    from serve.running import RunningService

EXIT_TERMINATED = 143


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.command("serve")(serve_models)
    register_keys(app)
    app.command("stream")(stream_source)
    app.command("replay")(replay_run)


def serve_models(
    packages: Annotated[list[str] | None, typer.Argument(metavar="PKG...", help=MODEL_HELP)] = None,
    config: Annotated[str | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address of HTTP and gRPC.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Of HTTP; 0 for a free one.")] = None,
    grpc_port: Annotated[int | None, typer.Option("--grpc-port", help="Of gRPC; 0 for a free one.")] = None,
    keys_file: Annotated[str | None, typer.Option("--keys-file", help="Who may ask.")] = None,
    access_log: Annotated[
        str | None, typer.Option("--access-log", help="none, text or json: a line for each request on standard output.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting as key.subkey=value; may be repeated; wins over all others."),
    ] = None,
) -> None:
    """Answer requests for models until SIGTERM. SIGHUP reads settings and packages again, without a pause."""

    def read() -> ServeConfig:
        flags = {
            "http.host": host,
            "grpc.host": host,
            "http.port": port,
            "grpc.port": grpc_port,
            "security.keys_file": keys_file,
            "access_log": access_log,
        }
        return read_settings(packages or [], config, flags=flags, assignments=assignments or [])

    settings = read()
    if settings.listener == "haproxy":
        os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"  # Ray Serve looks when it is imported, here and on every node
    from serve.running import ray_for, start_service  # Ray is slow to load: settings are checked first

    signals = Signals()
    with ray_for(settings):
        service = start_service(settings)
        try:
            say_ready(service, settings)
            while signals.wait() == "reload":
                reload(service, read)
        finally:
            service.stop()
    sys.exit(signals.exit_code)


class Signals:
    """What the process was asked for since it started: to read its settings again, or to end."""

    def __init__(self) -> None:
        self._asked = threading.Semaphore(0)
        self._waiting: list[str] = []
        self.exit_code = 0
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)

    def wait(self) -> str:
        """``reload`` or ``stop``, when a signal says so."""
        while not self._asked.acquire(timeout=1.0):  # a lock without a time would not let signals through
            pass
        return "stop" if "stop" in self._waiting else self._waiting.pop(0)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._waiting.append("reload")
        elif "stop" in self._waiting:
            sys.exit(self.exit_code)  # asked twice
        else:
            self._waiting.append("stop")
            self.exit_code = 128 + number
        self._asked.release()


def say_ready(service: RunningService, config: ServeConfig) -> None:
    """Tell on standard output where the service answers, one line each."""
    addresses = service.addresses
    hosts = {addresses.http_host, addresses.grpc_host if addresses.grpc_port else addresses.http_host}
    if hosts - LOOPBACK and config.security.keys_file is None:
        sys.stderr.write("warning: everybody who reaches this machine can use the service; give --keys-file\n")
    sys.stdout.write(f"HTTP at {addresses.url}\n")
    if addresses.grpc_address:
        sys.stdout.write(f"gRPC at {addresses.grpc_address}\n")
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def reload(service: RunningService, read: Callable[[], ServeConfig]) -> None:
    """Take new settings and packages; where something is wrong with them, the old ones go on."""
    try:
        service.deploy(read())
    except MillraceError as exc:
        sys.stderr.write(f"error: {exc}; the service goes on as it was\n")
        return
    with suppress(BrokenPipeError):
        sys.stdout.write("reloaded\n")
        sys.stdout.flush()
