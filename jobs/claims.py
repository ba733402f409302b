"""Which processes of this machine work on which shard, while the driver's children and Ray's actors work side by side.

Correctness does not depend on it, since the commit log decides; but two would read and infer the same images. A claim
is a lock on a local file: it ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_INTERVAL_S = 0.05
PATIENCE_S = 60.0
"""Longest wait for a shard that another process works on: one that hangs must not hold up others."""


@contextmanager
def claim(folder: str, shard_id: int, *, patience_s: float) -> Iterator[bool]:
    """Hold a shard, so that no other process begins it.

    Args:
        folder: of claims, on this machine; "" or one that is gone, and everybody may begin everything.
        shard_id: the shard.
        patience_s: how long to wait where another process holds it.

    Yields:
        Whether it is this process's now.
    """
    try:
        file = (Path(folder) / str(shard_id)).open("w") if folder else None
    except FileNotFoundError:
        file = None
    if file is None:
        yield True
        return
    with file:
        yield lock(file.fileno(), patience_s=patience_s)


def lock(descriptor: int, *, patience_s: float) -> bool:
    """Lock a file; False where another process had it locked all the time."""
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(LOOK_INTERVAL_S)
