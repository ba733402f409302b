"""Which shards a command knows to be committed, whoever committed them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from jobs.commits import CommitLog
from jobs.progress import RunProgress

AHEAD_FACTOR = 4
"""Shards that processes with a head start commit until the pipeline's first commit, for each that they have committed
when it is built: the actors still have to start, which takes longer than Ray itself."""


class SeenShards:
    """Which shards are known to be committed, each shown once.

    Args:
        output: the run's folder or prefix.
        todo: shards that were not committed when the command began.
        progress: told of each shard.
    """

    def __init__(self, output: str, todo: Sequence[int], progress: RunProgress) -> None:
        self._log = CommitLog(output)
        self._todo = todo
        self._seen: set[int] = set()
        self._progress = progress

    def add(self, receipts: pa.Table) -> None:
        """Take note of shards that the pipeline committed."""
        for receipt in receipts.to_pylist():
            self._show(receipt["shard_id"], num_rows=receipt["num_rows"], num_ok=receipt["num_ok"])

    def look(self) -> None:
        """Take note of what others committed."""
        found = sorted(self._log.committed().intersection(self._todo) - self._seen)
        for record in self._log.read_many(found):
            self._show(record.shard_id, num_rows=record.num_rows, num_ok=record.status_counts["ok"])

    def left(self, *, num_ahead: int = 0) -> list[int]:
        """Shards not known to be committed.

        Args:
            num_ahead: processes that have a head start and go on. What they work on, and will come to before the
                pipeline is there, stands last, so that no image is read twice.
        """
        left = [shard_id for shard_id in self._todo if shard_id not in self._seen]
        next_of_others = min(num_ahead + AHEAD_FACTOR * len(self._seen), len(left) // 2) if num_ahead else 0
        return left[next_of_others:] + left[:next_of_others]

    def _show(self, shard_id: int, *, num_rows: int, num_ok: int) -> None:
        if shard_id not in self._seen:
            self._seen.add(shard_id)
            self._progress.advance(shard_id=shard_id, num_rows=num_rows, num_failed=num_rows - num_ok)
