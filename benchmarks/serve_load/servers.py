"""Servers as processes of their own: started, waited for, stopped with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serve_load.tasks import ROOT, ServedTask
from serve_load.wire import read_images

PEERS = ROOT / "benchmarks" / "serving_peers"
START_S, STOP_S = 90.0, 30.0
MILLRACE = (
    "import typer; from inference_core.cli import run_app; from serve.cli import register; "
    "app = typer.Typer(pretty_exceptions_enable=False); register(app); run_app(app)"
)


@dataclass(frozen=True, kw_only=True)
class Server:
    """How one server is started and asked."""

    name: str
    command: Sequence[str]
    port: int
    path: str
    grpc_port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = ROOT


def millrace_server(task: ServedTask, *, settings: Sequence[str] = ()) -> Server:
    """``millrace serve``, as it is but for settings that are given."""
    port, grpc_port = free_port(), free_port()
    assignments = [part for setting in settings for part in ("--set", setting)]
    arguments = ["serve", str(task.package), "--port", str(port), "--grpc-port", str(grpc_port), *assignments]
    return Server(
        name="millrace",
        command=[sys.executable, "-c", MILLRACE, *arguments],
        port=port,
        path="/v1/predict",
        grpc_port=grpc_port,
    )


def peer_servers(task: ServedTask, *, pythons: Mapping[str, str], cores: int) -> list[Server]:
    """The peers whose interpreters are given, ``fastapi``, ``litserve`` and ``bentoml``."""
    found = []
    for name, python in pythons.items():
        port = free_port()
        own = {"PORT": port, "THREADS": cores, "TASK": task.kind, "MODEL": task.onnx, "CLASSES": task.classes}
        command = [python, str(PEERS / f"{name}_server.py")]
        if name == "bentoml":
            bento = str(Path(python).parent / "bentoml")
            command = [bento, "serve", "bentoml_server:Images", "--port", str(port), "--host", "127.0.0.1"]
        found.append(
            Server(
                name=name,
                command=command,
                port=port,
                path="/predict",
                environment={key: str(value) for key, value in own.items()} | {"BENTOML_DO_NOT_TRACK": "True"},
                cwd=PEERS,
            )
        )
    return found


@contextlib.contextmanager
def running(server: Server, task: ServedTask) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers, until the block ends.

    Raises:
        RuntimeError: it does not answer.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            server.command,
            cwd=server.cwd,
            env={**os.environ, **server.environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until_it_answers(server, process, read_images(task.images)[0])
            yield process
        except RuntimeError as exc:
            log.seek(0)
            raise RuntimeError(f"{exc}\n{log.read().decode(errors='replace')[-3000:]}") from exc
        finally:
            stop(process)


def wait_until_it_answers(server: Server, process: subprocess.Popen[bytes], image: bytes) -> None:
    """Ask until there is an answer."""
    url = f"http://127.0.0.1:{server.port}{server.path}"
    request = urllib.request.Request(url, image, {"Content-Type": "image/jpeg"})
    deadline_s, reason = time.monotonic() + START_S, "nothing"
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                answer.read()
                return
        except urllib.error.HTTPError as exc:
            reason = f"{exc.code} {exc.read()[:300].decode(errors='replace')}"
        except OSError as exc:
            reason = str(exc)
        time.sleep(0.2)
    raise RuntimeError(f"{server.name} must answer, got {reason}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and what it started."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
