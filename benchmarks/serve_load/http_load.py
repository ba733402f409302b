"""Load over HTTP, in a process of its own: settings as JSON on standard input, what was seen as JSON on output.

Closed: each of so many clients sends its next request when it has its answer. Open: requests come at a rate, whatever
becomes of those before, each on a connection that is free or on a new one.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

from serve_load.connection import Connection, ConnectionLostError, connect
from serve_load.wire import Form, Wire, build_wires, read_images

RETRY_PAUSE_S = 0.05
"""After a connection that was refused."""


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """What is asked."""

    host: str = "127.0.0.1"
    port: int
    path: str
    folders: list[str]
    form: Form = "raw"
    mode: Literal["closed", "open"] = "closed"
    clients: int = 1
    """Closed: how many; open: connections at most."""
    rate: float = 0.0
    """Open: requests in a second."""
    seconds: float
    warm_s: float = 0.0
    """Not counted, at the beginning."""
    seed: int = 0
    has_times: bool = False
    """Whether to tell when each answer came."""


@dataclass(kw_only=True)
class Seen:
    """What became of the requests."""

    latencies_ms: list[float] = field(default_factory=list)
    """Of answers with 2xx."""
    refused_ms: list[float] = field(default_factory=list)
    """Of all other answers."""
    statuses: dict[str, int] = field(default_factory=dict)
    """Answers by status; ``lost`` for a connection that was closed before its answer, ``refused`` for one that could
    not be made, ``full`` for a request that found no connection free."""
    times: list[tuple[float, str, float]] = field(default_factory=list)
    """When an answer came, seconds since 1970; its status; its latency in ms."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Of this process."""


MAX_IDLE_S = 10.0


class Load:
    """One load.

    Args:
        settings: what is asked.
        wires: the requests.
    """

    def __init__(self, settings: LoadSettings, wires: list[Wire]) -> None:
        self._settings, self._wires = settings, wires
        self._random = random.Random(settings.seed)
        self._numbers = count(self._random.randrange(10**9) * 10**6)
        self._seen = Seen()
        self._free: list[tuple[Connection, float]] = []
        self._num_open = 0
        self._counts_from_s = 0.0

    async def run(self) -> Seen:
        """All of it."""
        settings = self._settings
        started_s, cpu_s = time.perf_counter(), time.process_time()
        self._counts_from_s = started_s + settings.warm_s
        end_s = self._counts_from_s + settings.seconds
        if settings.mode == "closed":
            await asyncio.gather(*(self._client(end_s) for _ in range(settings.clients)))
        else:
            await self._arrivals(started_s, end_s)
        self._seen.seconds = time.perf_counter() - self._counts_from_s
        self._seen.cpu_s = time.process_time() - cpu_s
        return self._seen

    async def _client(self, end_s: float) -> None:
        connection: Connection | None = None
        while time.perf_counter() < end_s:
            if connection is None or connection.is_closed:
                connection = await self._connect()
                continue
            await self._ask(connection)
        if connection is not None:
            connection.close()

    async def _arrivals(self, started_s: float, end_s: float) -> None:
        tasks: set[asyncio.Task[None]] = set()
        next_s = started_s
        while next_s < end_s:
            await asyncio.sleep(max(0.0, next_s - time.perf_counter()))
            task = asyncio.ensure_future(self._arrive(next_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            next_s += self._random.expovariate(self._settings.rate)
        await asyncio.gather(*tasks)
        for connection, _ in self._free:
            connection.close()

    async def _arrive(self, due_s: float) -> None:
        connection = self._take_free()
        if connection is None:
            if self._num_open >= self._settings.clients:
                self._note("full", due_s)
                return
            self._num_open += 1
            connection = await self._connect()
        if connection is None:
            self._num_open -= 1
            return
        await self._ask(connection, since_s=due_s)
        if connection.is_closed:
            self._num_open -= 1
        else:
            self._free.append((connection, time.perf_counter()))

    def _take_free(self) -> Connection | None:
        """The connection that was used last; all are let go before the server would, as any HTTP client does."""
        if not self._free:
            return None
        connection, used_s = self._free.pop()
        if time.perf_counter() - used_s < MAX_IDLE_S and not connection.is_closed:
            return connection
        for old, _ in (*self._free, (connection, used_s)):
            old.close()
            self._num_open -= 1
        self._free.clear()
        return None

    async def _connect(self) -> Connection | None:
        started_s = time.perf_counter()
        try:
            return await connect(self._settings.host, self._settings.port)
        except OSError:
            self._note("refused", started_s)
            await asyncio.sleep(RETRY_PAUSE_S)
            return None

    async def _ask(self, connection: Connection, *, since_s: float | None = None) -> None:
        wire = self._random.choice(self._wires)
        started_s = time.perf_counter() if since_s is None else since_s
        try:
            status = str(await connection.ask(wire.parts(next(self._numbers))))
        except ConnectionLostError:
            status = "lost"
        self._note(status, started_s)

    def _note(self, status: str, started_s: float) -> None:
        now_s = time.perf_counter()
        if now_s < self._counts_from_s:
            return
        took_ms = (now_s - started_s) * 1000
        self._seen.statuses[status] = self._seen.statuses.get(status, 0) + 1
        if status.startswith("2"):
            self._seen.latencies_ms.append(took_ms)
        elif status.isdigit():
            self._seen.refused_ms.append(took_ms)
        if self._settings.has_times:
            self._seen.times.append((time.time(), status, took_ms))


def load_images(folders: list[str]) -> Iterator[bytes]:
    """Images of all folders."""
    for folder in folders:
        yield from read_images(Path(folder))


def main() -> None:
    """Run the load that standard input asks for."""
    settings = LoadSettings(**json.load(sys.stdin))
    wires = build_wires(
        list(load_images(settings.folders)),
        host=f"{settings.host}:{settings.port}",
        path=settings.path,
        form=settings.form,
    )
    try:
        import uvloop

        runner: Any = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        seen = runner.run(Load(settings, wires).run())
    json.dump(asdict(seen), sys.stdout)


if __name__ == "__main__":
    main()
