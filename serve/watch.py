"""Work that ends when its time is over or when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from serve.errors import DeadlineError
from serve.reply import Message, Receive

logger = logging.getLogger(__name__)


class ClientGoneError(Exception):
    """The client closed its connection: there is nobody to answer."""


class Watch:
    """A block that is cancelled at a deadline, or when the client disconnects.

    Enter it when the whole body has been read: what ``receive`` gives after that can only be the disconnect.

    Args:
        receive: of the request.
        seconds: until the deadline.
        asked_s: the time that the request had in all, for the message.

    Raises:
        DeadlineError: in place of the cancellation, when time was over.
        ClientGoneError: likewise, when the client went.
    """

    def __init__(self, receive: Receive, *, seconds: float, asked_s: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._asked_s = asked_s
        self._reason: Exception | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None, "requests are answered by tasks"
        self._task = task
        loop = task.get_loop()
        self._timer = loop.call_later(max(self._seconds, 0.0), self._stop, self._deadline_error())
        self._listener = asyncio.ensure_future(self._receive())
        self._listener.add_done_callback(self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None) -> None:
        self._timer.cancel()
        self._listener.remove_done_callback(self._hear)
        self._listener.cancel()
        if self._reason is not None and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise self._reason from exc

    def _hear(self, heard: asyncio.Future[Message]) -> None:
        if heard.cancelled() or heard.exception() is not None:
            return
        if heard.result()["type"] == "http.disconnect":
            self._stop(ClientGoneError("the client closed its connection"))

    def _stop(self, reason: Exception) -> None:
        if self._reason is None:
            self._reason = reason
            self._task.cancel()

    def _deadline_error(self) -> DeadlineError:
        return DeadlineError(
            f"answer must be there within {self._asked_s:g} s, got none; ask again later, or for more time with "
            "X-Request-Timeout-Seconds"
        )
