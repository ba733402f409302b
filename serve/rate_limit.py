"""How often someone may ask: a bucket of tokens that fills at a steady rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic


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
        self._tokens = burst
        self._at_s = clock()

    def take(self, count: int) -> float:
        """Take tokens, all or none.

        A call for more than the bucket ever holds is let through when it is full, and paid for afterwards.

        Returns:
            0 where they were taken, else the seconds until they might be.
        """
        now_s = self._clock()
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_second)
        self._at_s = now_s
        wanted = min(float(count), self._burst)
        if self._tokens >= wanted - 1e-9:
            self._tokens -= count
            return 0.0
        return max((wanted - self._tokens) / self._per_second, math.ulp(1.0))
