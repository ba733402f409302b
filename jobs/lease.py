"""Who works on a run: one command at a time.

Correctness does not depend on it, since the commit log decides; but two commands would do the same work twice.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from inference_core import storage
from inference_core.errors import JobError, MissingObjectError, StorageError
from inference_core.validation import Frozen

LEASE_FILE = "_lease.json"
BEAT_INTERVAL_S = 2.0
STALE_AFTER_S = 10.0
"""A lease whose beat does not change for so long belongs to nobody. Its reader's own clock counts: clocks of machines
differ."""
LOOK_INTERVAL_S = 1.0


class Lease(Frozen):
    """``_lease.json``."""

    token: str
    """Of one holder, and no other."""
    host: str
    boot: str
    """Names the start of the machine, "" where it is unknown."""
    pid: int
    pid_started: str
    """When the process was started, as the machine counts: a number of a process is given again."""
    since_s: float
    """Seconds since 1970 when it was taken, by the clock of its holder."""
    num_beats: int = 0
    """Grows while the holder lives."""

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since_s).astimezone().isoformat(sep=" ", timespec="seconds")
        return f"process {self.pid} on {self.host} since {since}"


@contextmanager
def hold_lease(output: str, *, waits: bool, say: Callable[[str], None]) -> Iterator[None]:
    """Be the only command that works on a run.

    Args:
        output: the run's folder or prefix.
        waits: where another command holds it: whether to wait for its end, or else to refuse.
        say: told once for whom is waited.

    Raises:
        JobError: another command works on the run.
    """
    own = new_lease()
    take_lease(output, own, waits=waits, say=say)
    is_over = threading.Event()
    beating = threading.Thread(target=beat, args=(output, own, is_over), name="lease", daemon=True)
    beating.start()
    try:
        yield
    finally:
        is_over.set()
        beating.join()
        with suppress(StorageError):  # it goes stale by itself
            remove_lease(output, own)


def new_lease() -> Lease:
    """A lease of this process."""
    return Lease(
        token=secrets.token_hex(8),
        host=socket.gethostname(),
        boot=boot_of_machine(),
        pid=os.getpid(),
        pid_started=start_of_process(os.getpid()),
        since_s=time.time(),
    )


def take_lease(output: str, own: Lease, *, waits: bool, say: Callable[[str], None]) -> None:
    """Return once this process holds the lease.

    Raises:
        JobError: another command holds it, and ``waits`` is not set.
    """
    uri = storage.join(output, LEASE_FILE)
    first = latest = own
    changed_s, told = time.monotonic(), ""
    while not storage.create(uri, own.model_dump_json().encode(), durable=False):
        found = read_lease(output)
        if found is None:
            continue
        if found != latest:
            latest, changed_s = found, time.monotonic()
        if found.token != first.token:
            first = found
        if is_dead(found) or time.monotonic() - changed_s > STALE_AFTER_S:
            remove_lease(output, found)
            continue
        if is_living_here(found) or found.num_beats > first.num_beats:
            if not waits:
                raise JobError(
                    f"one command at a time must work on {output}, got another: {found}; wait for its end or stop it"
                )
            if told != found.token:
                say(f"another command works on this run: {found}; waiting for its end")
                told = found.token
        time.sleep(LOOK_INTERVAL_S)


def read_lease(output: str) -> Lease | None:
    """Who holds the lease; None for nobody. A file that is no lease is removed."""
    uri = storage.join(output, LEASE_FILE)
    try:
        return Lease.model_validate_json(storage.read_bytes(uri))
    except MissingObjectError:
        return None
    except ValidationError:
        storage.delete_many([uri])
        return None


def remove_lease(output: str, lease: Lease) -> None:
    """Remove a lease, unless another command has taken it meanwhile."""
    found = read_lease(output)
    if found is not None and found.token == lease.token:
        storage.delete_many([storage.join(output, LEASE_FILE)])


def beat(output: str, own: Lease, is_over: threading.Event) -> None:
    """Show that the holder lives, until it is over or another command has taken the lease."""
    num_beats = 0
    while not is_over.wait(BEAT_INTERVAL_S):
        num_beats += 1
        with suppress(StorageError):
            found = read_lease(output)
            if found is None or found.token != own.token:
                return
            beaten = own.model_copy(update={"num_beats": num_beats})
            storage.replace(storage.join(output, LEASE_FILE), beaten.model_dump_json().encode(), durable=False)


def is_living_here(lease: Lease) -> bool:
    """Whether the holder is a process that lives on this machine."""
    return is_of_here(lease) and start_of_process(lease.pid) == lease.pid_started


def is_dead(lease: Lease) -> bool:
    """Whether the holder was a process of this machine, which is gone or whose number another one has."""
    return is_of_here(lease) and start_of_process(lease.pid) != lease.pid_started


def is_of_here(lease: Lease) -> bool:
    """Whether the holder's process can be looked for on this machine."""
    is_known = lease.boot != "" and lease.pid_started != ""
    return is_known and (lease.host, lease.boot) == (socket.gethostname(), boot_of_machine())


def boot_of_machine() -> str:
    """Names the start of this machine, and the numbering of processes that this one belongs to."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def start_of_process(pid: int) -> str:
    """When a process was started, in ticks since the machine's start; "" where it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return ""
    state, started = fields[0], fields[19]
    return "" if state in "ZX" else started
