"""Ctrl-C and SIGTERM that end a loop between two of its steps, so that what was begun is whole."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class KindStop:
    """A context that answers the first Ctrl-C or SIGTERM by ending itself: at once while the loop waits for what comes
    next, behind the step otherwise. A second one ends a step, too. Other threads than the main one get no signals.
    """

    def __init__(self) -> None:
        self._is_in_step = self._is_asked = False
        self._before: dict[int, Any] = {}

    @contextmanager
    def step(self) -> Iterator[None]:
        """What is not to be broken off."""
        self._is_in_step = True
        try:
            yield
        finally:
            self._is_in_step = False
        if self._is_asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._is_in_step and not self._is_asked:
            self._is_asked = True
        else:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is not KeyboardInterrupt:
            return False
        sys.stderr.write("interrupted; what was seen until now is kept\n")
        return True
