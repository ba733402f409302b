"""SIGTERM ends a run in order: what is committed stays, and the exit code says that it can be resumed."""

from __future__ import annotations

import signal
import sys
from types import FrameType

EXIT_TERMINATED = 143


def exit_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit(143), so that Ray is shut down on the way out."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(EXIT_TERMINATED)
