"""How often someone may ask: a bucket of tokens that fills at a steady rate."""

from __future__ import annotations

import fcntl
import math
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

LEVEL = struct.Struct("<dd")
"""Tokens, and when there were so many."""


class TokenBucket:
    """A rate with room for bursts. Not safe between threads: used on one event loop.

    Args:
        per_minute: tokens that come in a minute.
        burst: tokens that it holds at most, and at first.
        clock: seconds that never run backwards.
    """

    def __init__(self, *, per_minute: float, burst: float, clock: Callable[[], float] = monotonic) -> None:
        self._per_second = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._level = burst, clock()

    def take(self, count: int) -> float:
        """Take tokens, all or none.

        A call for more than the bucket ever holds is let through when it is full, and paid for afterwards.

        Returns:
            0 where they were taken, else the seconds until they might be.
        """
        with self._turn():
            tokens, at_s = self._level
            now_s = self._clock()
            tokens = min(self._burst, tokens + max(0.0, now_s - at_s) * self._per_second)
            wanted = min(float(count), self._burst)
            is_enough = tokens >= wanted - 1e-9
            self._level = tokens - count if is_enough else tokens, now_s
        return 0.0 if is_enough else max((wanted - tokens) / self._per_second, math.ulp(1.0))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """While the level is looked at and changed."""
        yield


class SharedBucket(TokenBucket):
    """The same, of all processes of a machine that open the same file: a caller's limit is one, whoever answers.

    Args:
        path: the file, made where it is not there.
        per_minute: see TokenBucket.
        burst: likewise.
        clock: the same for all processes of the machine.
    """

    def __init__(self, path: Path, *, per_minute: float, burst: float, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(per_minute=per_minute, burst=burst, clock=clock)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __del__(self) -> None:
        os.close(self._file)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            data = os.pread(self._file, LEVEL.size, 0)
            if len(data) == LEVEL.size:
                tokens, at_s = LEVEL.unpack(data)
                if at_s <= self._clock():  # else it is of a time before the machine started anew
                    self._level = tokens, at_s
            yield
            os.pwrite(self._file, LEVEL.pack(*self._level), 0)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
