"""A real S3 protocol server on loopback that counts its requests and can be told to misbehave.

    with s3_server() as server, server.environment():
        uri = server.make_bucket("images")
        ...
        assert server.requests() == [Request("GET", "/images/a.jpg", "")]

It is moto's server on a free port of 127.0.0.1. moto checks ``If-None-Match`` and then writes, in two steps, which
threads can enter together; the store that it stands for does both in one, so conditional writes pass through a lock.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from botocore.session import Session
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

GATE_PATIENCE_S = 30.0
"""Less than clients wait."""

Wsgi = Callable[..., Iterable[bytes]]


class Request(NamedTuple):
    """One request as the server got it."""

    method: str
    path: str
    query: str


class Fault(NamedTuple):
    """What the server does to a request instead of, or after, answering it."""

    status: str
    """Status line, such as "503 Slow Down"."""
    body: bytes = b""
    after: bool = False
    """Let the operation happen first and lose its answer."""
    declared_bytes: int | None = None
    """Content-Length to claim where the body is to break off before it."""
    resets: bool = False
    """Cut the connection instead of answering."""
    delay_s: float = 0.0
    """Wait before it."""


DENIED = Fault("403 Forbidden", b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")


class S3Server:
    """The running server."""

    def __init__(self, app: Wsgi) -> None:
        self.endpoint = ""
        self.ignores_conditions = False
        """Whether to be one of the stores that accept ``If-None-Match`` and overwrite all the same."""
        self.delay_s = 0.0
        """How long every request waits before it is served."""
        self.denied: frozenset[str] = frozenset()
        """Requests that the bucket's policy forbids: ``DELETE``, also of many at once, ``PUT`` and so on."""
        self.fault_every: tuple[int, Fault] | None = None
        """Meet every so many-th request with a fault, for as long as this stands."""
        self.weather: Iterator[Fault | None] | None = None
        """Where set, gives what each request is met with: a fault, or None."""
        self.gates: dict[str, threading.Event] = {}
        """What is written to these paths waits, for a while, until the event is set."""
        self._num_served = 0
        self.max_in_flight = 0
        """The most requests that were served at the same time since ``forget``."""
        self._in_flight = 0
        self._app = app
        self._lock = threading.Lock()
        self._conditional_write = threading.Lock()
        self._requests: list[Request] = []
        self._faults: list[Fault] = []

    def requests(self, *methods: str) -> list[Request]:
        """The requests since ``forget``, of the given methods or all."""
        with self._lock:
            return [request for request in self._requests if not methods or request.method in methods]

    def forget(self) -> None:
        """Start counting from nothing, without faults."""
        with self._lock:
            self.max_in_flight = 0
            self._requests.clear()
            self._faults.clear()

    def fail_next(self, *faults: Fault) -> None:
        """Meet the next requests with these faults, one each."""
        with self._lock:
            self._faults.extend(faults)

    def count(self, uri_prefix: str) -> int:
        """How many objects there are below a prefix; no request, and no fault."""
        bucket, _, prefix = uri_prefix.removeprefix("s3://").partition("/")
        return sum(key.startswith(prefix) for key in list(s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys))

    def make_bucket(self, name: str) -> str:
        """Make a bucket where it is absent and give its URI."""
        client = Session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket=name)
        client.close()
        return f"s3://{name}"

    def fill(self, uri_prefix: str, names: Iterable[str], data: bytes = b"") -> list[str]:
        """Put objects past the protocol, ten times as fast as through it, and give their URIs."""
        bucket, _, prefix = uri_prefix.removeprefix("s3://").partition("/")
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        keys = [f"{prefix}/{name}" if prefix else name for name in names]
        for key in keys:
            backend.put_object(bucket, key, data)
        return [f"s3://{bucket}/{key}" for key in keys]

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Point this process, and those that it starts, at the server."""
        values = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        with self._lock:
            self._requests.append(Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]))
            fault = self._next_fault()
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            self._wait_at_gate(environ)
            time.sleep(self.delay_s)
            return self._answer(fault, environ, start_response)
        finally:
            with self._lock:
                self._in_flight -= 1

    def _answer(
        self, fault: Fault | None, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if fault is None:
            if self._kind_of(environ) in self.denied:
                return self._answer(DENIED, environ, start_response)
            return self._serve(environ, start_response)
        time.sleep(fault.delay_s)
        if fault.after:
            list(self._serve(environ, lambda *_: None))
        else:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if fault.resets:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        length = len(fault.body) if fault.declared_bytes is None else fault.declared_bytes
        start_response(fault.status, [("Content-Length", str(length)), ("Content-Type", "application/xml")])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else fault.body]

    def _next_fault(self) -> Fault | None:
        if self._faults:
            return self._faults.pop(0)
        if self.weather is not None:
            return next(self.weather)
        self._num_served += 1
        every, fault = self.fault_every or (0, None)
        return fault if every and self._num_served % every == 0 else None

    def _wait_at_gate(self, environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and (gate := self.gates.get(environ["PATH_INFO"])) is not None:
            gate.wait(GATE_PATIENCE_S)

    def _kind_of(self, environ: dict[str, Any]) -> str:
        method = str(environ["REQUEST_METHOD"])
        return "DELETE" if method == "POST" and "delete" in environ["QUERY_STRING"] else method

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.ignores_conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if "HTTP_IF_NONE_MATCH" in environ and environ["REQUEST_METHOD"] in ("PUT", "POST"):
            with self._conditional_write:
                return list(self._app(environ, start_response))
        return self._app(environ, start_response)


class QuietHandler(MotoRequestHandler):
    """moto's handler without a line on stderr per request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server until the context ends."""
    server = S3Server(DomainDispatcherApplication(create_backend_app))
    http = make_server("127.0.0.1", 0, server, threaded=True, request_handler=QuietHandler)
    server.endpoint = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, name="s3-loopback", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
