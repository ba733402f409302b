"""Clients that ask a service again and again, and what each of them was told."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

TIMEOUT_S = 60.0


@dataclass
class Load:
    """What a number of clients met."""

    statuses: Counter[int] = field(default_factory=Counter)
    digests: list[str] = field(default_factory=list)
    """Of good answers, in the order in which they came."""
    broken: list[str] = field(default_factory=list)
    """Connections that ended without an answer."""
    bodies: list[bytes] = field(default_factory=list)
    """Of answers that are not good."""

    def wait_for(self, number: int) -> None:
        """Until so many more good answers came."""
        wanted, deadline_s = len(self.digests) + number, time.monotonic() + TIMEOUT_S
        while len(self.digests) < wanted:
            assert time.monotonic() < deadline_s, f"no answers: {self.statuses}, {self.broken[-3:]}"
            time.sleep(0.02)


def ask(url: str, image: bytes, *, path: str = "/v1/predict") -> tuple[int, Any]:
    """Status and body of one request."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
    try:
        connection.request("POST", path, body=image, headers={"content-type": "image/png"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@contextmanager
def load_on(url: str, images: Sequence[bytes], *, clients: int = 4) -> Iterator[Load]:
    """Half of the clients keep their connection, the others open one for each request."""
    load, is_over, numbers = Load(), threading.Event(), count()
    host, _, port = url.removeprefix("http://").rpartition(":")

    def one_client(*, keeps: bool) -> None:
        connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
        while not is_over.is_set():
            try:
                image = images[next(numbers) % len(images)]
                connection.request("POST", "/v1/predict", body=image, headers={"content-type": "image/png"})
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as exc:
                load.broken.append(repr(exc))
                connection.close()
                time.sleep(0.05)
                continue
            load.statuses[response.status] += 1
            if response.status == 200:
                load.digests.append(json.loads(body)["model_digest"])
            else:
                load.bodies.append(body)
                time.sleep(0.02)
            if not keeps:
                connection.close()
        connection.close()

    threads = [threading.Thread(target=one_client, kwargs={"keeps": bool(index % 2)}) for index in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
