"""Let a run be measured: its metrics are served from the beginning of its work until its report is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jobs.attempts import read_attempts
from jobs.commits import CommitLog
from jobs.config import JobConfig
from jobs.listing import Listing
from jobs.metrics.pool_loads import PoolLoads
from jobs.plan import Plan
from jobs.progress import RunProgress

if TYPE_CHECKING:
    from jobs.metrics.record_reader import RecordReader
    from jobs.metrics.run_totals import RunTotals

Measure = Callable[[RunProgress], RunProgress]
"""Makes a progress one that also counts for the metrics."""


@contextmanager
def measured(
    config: JobConfig,
    plan: Plan,
    listing: Listing,
    *,
    todo: Sequence[int],
    notice: Callable[[str], None],
    generation: int = 0,
) -> Iterator[Measure]:
    """Serve a run's metrics until the context ends, if the settings ask for it.

    Args:
        config: the settings.
        plan: the run's.
        listing: what is listed so far.
        todo: shards of it that are left; all others are committed.
        notice: told the URL.
        generation: of the commit log: 0 for the run itself, else the number of a retry.

    Raises:
        ConfigError: nobody can listen at the port, or the library is not installed.
    """
    execution = config.execution
    if execution.metrics_port is None:
        yield lambda progress: progress
        return
    from jobs.metrics.record_reader import RecordReader
    from jobs.metrics.run_totals import RunTotals
    from jobs.metrics.server import serve_metrics

    loads = PoolLoads()
    totals = RunTotals(
        plan,
        num_rows=listing.num_rows,
        num_shards=len(listing.shards),
        is_whole=listing.is_whole,
        num_attempts=len(read_attempts(config.output)) + bool(todo or not listing.is_whole),
        started_s=time.time(),
        loads=loads,
    )
    earlier = sorted(set(range(len(listing.shards))) - set(todo))
    with serve_metrics(totals, address=execution.metrics_address, port=execution.metrics_port) as url:
        notice(f"metrics at {url}")
        log = CommitLog(config.output, generation=generation)
        reader = RecordReader(log, totals.add, earlier=earlier, say=notice)
        PoolLoads.current = loads
        try:
            yield lambda progress: MeasuredProgress(progress, reader=reader, totals=totals)
        finally:
            PoolLoads.current = None
            reader.close()


class MeasuredProgress:
    """A progress that also counts for the metrics.

    Args:
        shown: what shows the progress.
        reader: told of each shard.
        totals: told of the listing.
    """

    def __init__(self, shown: RunProgress, *, reader: RecordReader, totals: RunTotals) -> None:
        self._shown = shown
        self._reader = reader
        self._totals = totals

    def __enter__(self) -> Self:
        """Begin to show."""
        self._shown.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count to the end, so that the metrics are final before the report is written, and stop."""
        self._reader.close()
        self._shown.__exit__(kind, error, trace)

    def advance(self, *, shard_id: int, num_rows: int, num_failed: int) -> None:
        """A shard was committed."""
        self._reader.tell(shard_id)
        self._shown.advance(shard_id=shard_id, num_rows=num_rows, num_failed=num_failed)

    def extend(self, *, num_rows: int, num_shards: int, is_whole: bool) -> None:
        """More of the input is listed."""
        self._totals.extend(num_rows=num_rows, num_shards=num_shards, is_whole=is_whole)
        self._shown.extend(num_rows=num_rows, num_shards=num_shards, is_whole=is_whole)

    def say(self, message: str) -> None:
        """Something happened that a user wants to know of."""
        self._shown.say(message)
