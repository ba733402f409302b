"""Notice that a run hangs: no shard is committed for a long time while work is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from inference_core.errors import JobError, MillraceError

MAX_NAMED = 10
"""Shards that a message names."""


class StalledError(JobError):
    """Nothing was committed for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineState:
    """What a pipeline is at."""

    num_in_work: int
    """Shards that a worker was given and that have not come out, at most."""
    lines: Sequence[str]
    """Of each stage: its name, its calls and its actors."""


class Watchdog:
    """Counts the time since the last commit.

    Args:
        timeout_s: without a commit, until the run is ended.
        shard_ids: that are to be committed.
        find_left: looks into the commit log; those that are left, those first that were given out first.
        note: keeps which shards are to be done in quarantine.
    """

    def __init__(
        self,
        timeout_s: float,
        *,
        shard_ids: Iterable[int],
        find_left: Callable[[], Sequence[int]],
        note: Callable[[Sequence[int]], None],
    ) -> None:
        self._timeout_s = timeout_s
        self._find_left = find_left
        self._note = note
        self._lock = threading.Lock()
        self._last_s = time.monotonic()
        self._unseen = set(shard_ids)
        self.error: StalledError | None = None
        """What the run was ended with."""

    def touch(self, shard_ids: Iterable[int]) -> None:
        """Shards were committed."""
        with self._lock:
            self._last_s = time.monotonic()
            self._unseen.difference_update(shard_ids)

    def check(self, describe: Callable[[], PipelineState]) -> None:
        """Look at the clock, and where it is time, once at the commit log.

        Args:
            describe: what the pipeline is at.

        Raises:
            StalledError: nothing was committed since the last look, and the time is over.
        """
        with self._lock:
            is_over = time.monotonic() - self._last_s > self._timeout_s
        if not is_over or self.error is not None:
            return
        left = self._find_left()
        if silent := self._unseen.difference(left):  # of others, whose receipts have not come
            self.touch(silent)
            return
        if not left:
            return
        state = describe()
        suspects = left[: max(state.num_in_work, 1)]
        self._note(suspects)
        self.error = StalledError(stall_text(self._timeout_s, left=left, suspects=suspects, state=state))
        raise self.error

    def find_stuck(self, grace_s: float) -> str | None:
        """What to tell the user where ``check`` should have ended the run for some time now, and Ray does not get
        there; None while all is well. Asked by another thread than those that Ray holds.

        Args:
            grace_s: that ``check``, and the end of the pipeline after it, may take.
        """
        with self._lock:
            is_over = time.monotonic() - self._last_s > self._timeout_s + grace_s
        if not is_over or self.error is not None:
            return str(self.error) if is_over else None
        try:
            left = self._find_left()
        except MillraceError as exc:
            return stuck_text(self._timeout_s + grace_s, f"the commit log cannot be read either ({exc})")
        if silent := self._unseen.difference(left):
            self.touch(silent)
            return None
        return stuck_text(self._timeout_s + grace_s, f"{len(left)} shards are left")


def stuck_text(waited_s: float, found: str) -> str:
    """What a user is told where Ray itself hangs."""
    return (
        f"the run stopped: Ray must give a shard or an error within {waited_s:g} s, got neither, and {found}; what is "
        "committed stays, and the same command goes on from there"
    )


def stall_text(timeout_s: float, *, left: Sequence[int], suspects: Sequence[int], state: PipelineState) -> str:
    """What a user is told of a run that hangs."""
    named = ", ".join(str(shard_id) for shard_id in suspects[:MAX_NAMED])
    more = ", ..." if len(suspects) > MAX_NAMED else ""
    return (
        f"the run stopped: a shard must be committed within {timeout_s:g} s, got none while {len(left)} are left; in "
        f"work are shards {named}{more} ({'; '.join(state.lines)}); what is committed stays, and the same command "
        "goes on from there and does these in quarantine"
    )
