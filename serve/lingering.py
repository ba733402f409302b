"""Sending an answer in one piece, and closing a connection so that the client reads it: not while it still sends.

The head and the body of an answer come one after the other, and the event loop would send each at once: two packets
and two calls of the kernel for what is a kilobyte. A socket that is closed with unread bytes in it is reset, and the
client loses the answer that was on its way (413 in the middle of an upload); so writing is ended first, and what still
comes is thrown away for a while.

Source: RFC 9112, HTTP/1.1, section 9.6.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

RESET = struct.pack("ii", 1, 0)
LINGER_S = 2.0
"""After that the connection is closed whatever comes."""


class LingeringTransport:
    """A transport whose ``close`` lingers while a request is not wholly read.

    Args:
        transport: the real one.
        is_reading: whether the client may still be sending a body.
    """

    def __init__(self, transport: asyncio.Transport, *, is_reading: Callable[[], bool]) -> None:
        self.real = transport
        self._loop = asyncio.get_running_loop()
        self._is_reading = is_reading
        self._held: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_lingering(self) -> bool:
        """Whether what comes is thrown away."""
        return self._timer is not None

    def write(self, data: bytes) -> None:
        """Send with all that is written before the event loop goes on."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        """Send what was held back."""
        held, self._held = self._held, []
        if held:
            self.real.writelines(held)

    def abort(self) -> None:
        """Close at once, and let the kernel forget what was not sent yet."""
        self._held = []
        connection = self.real.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            # A copy, because what the loop hands out does not set options.
            with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as copy:
                copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.real.abort()

    def close(self) -> None:
        """End the answer; close at once, or when the client has had time to read it."""
        if self.is_lingering:
            return
        self.flush()
        if self.real.is_closing() or not self._is_reading() or not self.real.can_write_eof():
            self.real.close()
            return
        self._timer = self._loop.call_later(LINGER_S, self.real.abort)
        self.real.write_eof()
        self.real.resume_reading()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self.is_lingering or self.real.is_closing()

    def forget(self) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)
