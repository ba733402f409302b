"""End the process where Ray holds its main thread for ever: nothing that is raised would arrive there."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inference_core.commands.exit_codes import EXIT_FAILED
from inference_core.storage import mask_secrets

LOOK_INTERVAL_S = 1.0


@contextmanager
def ended_if_stuck(find_reason: Callable[[], str | None], *, interval_s: float = LOOK_INTERVAL_S) -> Iterator[None]:
    """Ask again and again whether there is a reason to end the process, while the context lasts, and end it then.

    Args:
        find_reason: gives what the user is told; None while all is well.
        interval_s: between two questions.
    """
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(interval_s):
            reason = find_reason()
            if reason is not None and not is_over.is_set():
                end(reason)

    threading.Thread(target=look, name="last-resort", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def end(reason: str) -> None:
    """Say why and end this process at once. What is committed stays; the lease of a dead process is nobody's."""
    sys.stderr.write(f"error: {mask_secrets(reason)}\n")
    sys.stderr.flush()
    os._exit(EXIT_FAILED)
