"""One kept HTTP connection with one request at a time, with as little work for each as Python allows."""

from __future__ import annotations

import asyncio
import re

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
CLOSING = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class ConnectionLostError(Exception):
    """The server closed the connection before the answer was whole."""


class Connection(asyncio.Protocol):
    """Sends requests and waits for their answers."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._received = bytearray()
        self._end = -1
        self._is_chunked = False
        self._status = 0
        self.is_closed = False

    async def ask(self, parts: list[bytes]) -> int:
        """The status of the answer.

        Raises:
            ConnectionLostError: there is none.
        """
        if self.is_closed or self._transport is None:
            raise ConnectionLostError
        self._answer = asyncio.get_running_loop().create_future()
        self._received.clear()
        self._end = -1
        self._transport.writelines(parts)
        return await self._answer

    def close(self) -> None:
        """Close it."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment] # of TCP

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._received += data
        if self._end < 0 and not self._read_head():
            return
        is_whole = self._received.endswith(LAST_CHUNK) if self._is_chunked else len(self._received) >= self._end
        if is_whole and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._status)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.is_closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionLostError())

    def _read_head(self) -> bool:
        """Whether the headers are there."""
        at = self._received.find(HEAD_END)
        if at < 0:
            return False
        head = bytes(self._received[: at + 2])
        self._status = int(head[9:12])
        length = LENGTH.search(head)
        self._is_chunked = CHUNKED.search(head) is not None
        self._end = at + len(HEAD_END) + (int(length[1]) if length else 0)
        self.is_closed = CLOSING.search(head) is not None
        return True


async def connect(host: str, port: int) -> Connection:
    """A new connection.

    Raises:
        OSError: nobody listens.
    """
    _, protocol = await asyncio.get_running_loop().create_connection(Connection, host, port)
    return protocol
