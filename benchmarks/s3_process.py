"""The S3 protocol server of the tests, on loopback, in a process of its own, that answers from memory."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
HANG_S = 32.0
"""Longer than a client waits for an answer."""


class S3Process:
    """The server as the process sees it that started it.

    Args:
        pipe: to the server's process.
        bucket: URI of the one bucket that it has.
    """

    def __init__(self, pipe: Connection, bucket: str) -> None:
        self._pipe = pipe
        self.bucket = bucket

    def fill(self, name: str, data: bytes) -> None:
        """Put an object past the protocol."""
        self._ask("fill", self.bucket, [name], data)

    def take_requests(self) -> list[tuple[str, str, str]]:
        """Method, path and query of the requests since this was asked before."""
        found: list[tuple[str, str, str]] = self._ask("take_requests")
        return found

    def count(self, uri_prefix: str) -> int:
        """How many objects there are below a prefix."""
        return int(self._ask("count", uri_prefix))

    def misbehave(self, faults: Sequence[str], *, rate: float, seed: int) -> None:
        """Meet a share of the requests with faults.

        Args:
            faults: names among those of ``build_faults``; one of them is drawn for each.
            rate: share of the requests, 0 for good behaviour.
            seed: of what is drawn.
        """
        self._ask("misbehave", tuple(faults), rate, seed)

    def _ask(self, *question: Any) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


@contextmanager
def s3_process(bucket: str) -> Iterator[S3Process]:
    """Run the server; this process and its children are pointed at it.

    Args:
        bucket: URI of a bucket to make.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, bucket), daemon=True)
    process.start()
    theirs.close()  # else nobody would notice its end
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    os.environ.update({"AWS_ENDPOINT_URL": ours.recv(), "AWS_EC2_METADATA_DISABLED": "true", **keys})
    try:
        yield S3Process(ours, bucket)
    finally:
        with suppress(BrokenPipeError):  # it is gone
            ours.send(None)
        process.join()


def serve(pipe: Connection, bucket: str) -> None:
    """Run the server in this process: tell its endpoint, then do what is asked until there is no more."""
    from tests.s3_loopback import s3_server

    with s3_server() as server:
        server.make_bucket(bucket.removeprefix("s3://"))
        pipe.send(server.endpoint)
        answers: dict[str, Callable[..., Any]] = {
            "fill": server.fill,
            "count": server.count,
            "take_requests": lambda: take_requests(server),
            "misbehave": lambda *drawn: setattr(server, "weather", draw_weather(*drawn)),
        }
        while (question := pipe.recv()) is not None:
            pipe.send(answers[question[0]](*question[1:]))


def take_requests(server: Any) -> list[tuple[str, str, str]]:
    """The requests since this was asked before."""
    found = [(request.method, request.path, request.query) for request in server.requests()]
    server.forget()
    return found


def draw_weather(names: Sequence[str], rate: float, seed: int) -> Iterator[Any] | None:
    """What each request is met with; None for good behaviour."""
    if not rate:
        return None
    faults = build_faults()
    drawn = random.Random(seed)
    return iter(lambda: faults[drawn.choice(names)] if drawn.random() < rate else None, 0)


def build_faults() -> dict[str, Any]:
    """What can go wrong, by name."""
    from tests.s3_loopback import Fault

    return {
        "503": Fault("503 Slow Down", SLOW_DOWN),
        "429": Fault("429 Too Many Requests"),
        "reset": Fault("", resets=True),
        "lost-answer": Fault("", resets=True, after=True),
        "cut": Fault("200 OK", b"half of it", after=True, declared_bytes=4096),
        "hang": Fault("503 Slow Down", SLOW_DOWN, delay_s=HANG_S),
    }
