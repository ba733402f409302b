"""Read the records of shards as they are committed, on a thread of its own: the driver never waits for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence

from inference_core.errors import MillraceError
from jobs.commits import CommitLog, CommitRecord

MAX_READ = 256
"""Records that are read at a time."""
CATCH_UP_S = 30.0
"""How long the end of the work waits for records that are not read yet."""


class RecordReader:
    """Hands records on until it is closed.

    Args:
        log: where they lie.
        take: called with each record.
        earlier: shards that were committed before; of each the newest record is read first.
        say: told why reading ended before its time.
    """

    def __init__(
        self,
        log: CommitLog,
        take: Callable[[CommitRecord], None],
        *,
        earlier: Sequence[int],
        say: Callable[[str], None],
    ) -> None:
        self._log = log
        self._take = take
        self._earlier = earlier
        self._known = set(earlier)
        self._say = say
        self._told: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read_on, name="record-reader", daemon=True)
        self._thread.start()

    def tell(self, shard_id: int) -> None:
        """A shard was committed. Each counts once."""
        if shard_id not in self._known:
            self._known.add(shard_id)
            self._told.put(shard_id)

    def close(self) -> None:
        """Read what is left and end."""
        self._told.put(None)
        self._thread.join(CATCH_UP_S)

    def _read_on(self) -> None:
        try:
            self._hand_on(self._log.read_many(self._earlier))
            is_open = True
            while is_open:
                waiting = self._next_told()
                is_open = waiting[-1] is not None
                self._hand_on(self._log.read_own([shard_id for shard_id in waiting if shard_id is not None]))
        except MillraceError as exc:
            self._say(f"metrics stand still: {exc}")

    def _next_told(self) -> list[int | None]:
        """At least one that was told, and those behind it that wait; None, the last, for the end."""
        waiting = [self._told.get()]
        while len(waiting) < MAX_READ and waiting[-1] is not None:
            try:
                waiting.append(self._told.get_nowait())
            except queue.Empty:
                break
        return waiting

    def _hand_on(self, records: Iterable[CommitRecord]) -> None:
        for record in records:
            self._take(record)
