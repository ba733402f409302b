"""Where a frame waits for its turn: one place, and a rule for what happens when another frame comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from serve.errors import ServeError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One frame of a stream."""

    number: int
    """From 0, in the order of arrival; dropped frames count, too."""
    data: bytes
    """The encoded image; empty where there is an error."""
    error: ServeError | None = None
    """Why it is refused, which is told in its turn."""


class FrameSlot:
    """Holds the frame that is next. For one task that puts and one that takes, on one event loop.

    Args:
        keeps_newest: whether a frame that comes takes the place of one that waits; else its sender waits.
        drop: called with a frame that lost its place.
    """

    def __init__(self, *, keeps_newest: bool, drop: Callable[[Frame], None]) -> None:
        self._keeps_newest = keeps_newest
        self._drop = drop
        self._frame: Frame | None = None
        self._is_finished = False
        self._changed = asyncio.Event()

    async def put(self, frame: Frame) -> None:
        """Bring a frame."""
        while self._frame is not None and not self._keeps_newest:
            await self._change()
        if self._frame is not None:
            self._drop(self._frame)
        self._frame = frame
        self._changed.set()

    async def take(self) -> Frame | None:
        """The frame that is next; None when no more will come."""
        while self._frame is None and not self._is_finished:
            await self._change()
        frame, self._frame = self._frame, None
        self._changed.set()
        return frame

    def finish(self) -> None:
        """Say that no more will come; a frame that waits is still taken."""
        self._is_finished = True
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
