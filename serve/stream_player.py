"""The client of ``/v1/stream``: sends frames in their own time and gives the results as they come."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from inference_core.errors import ConfigError
from serve.errors import UnavailableError
from serve.frame_source import SourceFrame

SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
PATH = "/v1/stream"
OPEN_TIMEOUT_S = 10.0
MAX_RESULT_BYTES = 256 * 1024 * 1024

Show = Callable[[dict[str, Any]], None]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of it so far."""

    num_sent: int = 0
    num_ok: int = 0
    num_failed: int = 0
    num_dropped: int = 0
    wall_s: float = 0.0
    """From the first frame to the last result."""
    latency_s: list[float] = field(default_factory=list)
    """Of each result, from sending its frame."""

    @property
    def num_answered(self) -> int:
        """Results, good or bad."""
        return self.num_ok + self.num_failed

    def quantile_ms(self, share: float) -> float:
        """The latency that this share of the results does not exceed."""
        ordered = sorted(self.latency_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0

    def sentence(self) -> str:
        """All of it in one line."""
        rate = self.num_answered / self.wall_s if self.wall_s else 0.0
        return (
            f"{self.num_sent} frames sent, {self.num_ok} ok, {self.num_failed} failed, {self.num_dropped} dropped in "
            f"{self.wall_s:.1f} s: {rate:.1f} results/s, p50 {self.quantile_ms(0.5):.0f} ms, "
            f"p95 {self.quantile_ms(0.95):.0f} ms"
        )


def stream_url(url: str) -> str:
    """Where the stream of a service is.

    Raises:
        ConfigError: it is no URL of HTTP or WebSocket.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.netloc:
        raise ConfigError(f"must be like ws://127.0.0.1:8000, got {url}; correct it", key="url")
    path = parts.path if parts.path.strip("/") else PATH
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, "", ""))


async def play(
    frames: Iterator[SourceFrame], url: str, *, hello: dict[str, Any], key: str, is_paced: bool, show: Show
) -> Tally:
    """Send frames until there are no more, and wait for their results.

    Args:
        frames: read in a thread, one at a time.
        url: of the service.
        hello: first message.
        key: of the service, "" for none.
        is_paced: whether a frame is sent no sooner than at its own time.
        show: called with each result, which carries ``frame_index`` and ``time_s`` of its frame.

    Raises:
        ConfigError: the service is not there, refuses, or does not take the hello.
        UnavailableError: it ended the stream.
    """
    address = stream_url(url)
    headers = {"Authorization": f"Bearer {key}"} if key else None
    try:
        async with connect(
            address,
            additional_headers=headers,
            max_size=MAX_RESULT_BYTES,
            open_timeout=OPEN_TIMEOUT_S,
            compression=None,  # images are compressed already
            proxy=None,
        ) as socket:
            return await Player(socket, show=show).run(frames, hello=hello, is_paced=is_paced)
    except InvalidStatus as exc:
        raise ConfigError(f"must be that of a service that takes this stream: {refusal(exc)}", key="url") from exc
    except (InvalidHandshake, OSError, TimeoutError) as exc:
        reason = str(exc) or type(exc).__name__
        raise ConfigError(f"must be that of a running service, got {address} ({reason}); start it", key="url") from exc
    except ConnectionClosed as exc:
        raise UnavailableError(f"the service must end the stream itself, but the connection broke: {exc}") from exc


def refusal(exc: InvalidStatus) -> str:
    """What the service says in refusing the handshake."""
    try:
        return str(json.loads(exc.response.body or b"")["detail"])
    except (ValueError, LookupError, TypeError):
        return f"it answered HTTP {exc.response.status_code}"


class Player:
    """One stream.

    Args:
        socket: open.
        show: called with each result.
    """

    def __init__(self, socket: ClientConnection, *, show: Show) -> None:
        self._socket = socket
        self._show = show
        self._tally = Tally()
        self._sent: dict[int, tuple[SourceFrame, float]] = {}

    async def run(self, frames: Iterator[SourceFrame], *, hello: dict[str, Any], is_paced: bool) -> Tally:
        """See ``play``."""
        await self._socket.send(json.dumps({"type": "hello", **hello}))
        ready = await self._receive()
        if ready["type"] != "ready":
            raise ConfigError(str(ready["problem"]["detail"]))
        started_s = time.perf_counter()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_all(frames, started_s=started_s, is_paced=is_paced))
                group.create_task(self._receive_all())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self._tally.wall_s = time.perf_counter() - started_s
        return self._tally

    async def _send_all(self, frames: Iterator[SourceFrame], *, started_s: float, is_paced: bool) -> None:
        with suppress(ConnectionClosed):  # whoever receives knows more
            while (frame := await asyncio.to_thread(next, frames, None)) is not None:
                if is_paced:
                    await asyncio.sleep(max(0.0, started_s + frame.time_s - time.perf_counter()))
                self._sent[self._tally.num_sent] = (frame, time.perf_counter())
                self._tally.num_sent += 1
                await self._socket.send(frame.data)
            await self._socket.send('{"type":"end"}')

    async def _receive_all(self) -> None:
        while (message := await self._receive())["type"] != "end":
            number = message.get("frame")
            if number is None:
                raise UnavailableError(f"the service ended the stream: {message['problem']['detail']}")
            self._take(message, number)
        self._tally.num_dropped = message["dropped"]

    def _take(self, message: dict[str, Any], number: int) -> None:
        frame, sent_s = self._sent[number]
        for past in [past for past in self._sent if past <= number]:
            del self._sent[past]
        self._tally.latency_s.append(time.perf_counter() - sent_s)
        row = message.get("prediction")
        is_ok = row is not None and row["status"] == "ok"
        self._tally.num_ok += is_ok
        self._tally.num_failed += not is_ok
        self._tally.num_dropped = message["dropped"]
        self._show({**message, "frame_index": frame.frame_index, "time_s": frame.time_s})

    async def _receive(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self._socket.recv())
        return found
