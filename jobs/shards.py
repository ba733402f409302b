"""How the rows of a run are cut into shards: a function of their number alone, the same on any cluster."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

MIN_ROWS = 16
MAX_ROWS = 128
"""Default shards have a power of two of rows between these: some seconds of work, some tens of megabytes of pixels."""
MAX_LATER_ROWS = 1_024
"""Shards behind the first part of a long listing have up to so many rows: a million images are some thousand shards,
each of which costs a commit, and memory of the driver."""
LATER_BYTES = 64 * 1024 * 1024
"""Prepared pixels of such a shard, at most: between stages a shard is one block."""
WANTED_SHARDS = 64
"""Default shards are made smaller until there are about this many, so that small runs spread over the machine too."""

NUM_HEAD, HEAD_DIVISOR = 8, 8
"""The first shards are smaller: the first commit, and with it the first sign of trouble, comes early."""
NUM_TAIL, TAIL_DIVISOR = 16, 4
"""The last shards are smaller: the machine is busy to the end."""


@dataclass(frozen=True)
class Shards:
    """Consecutive shards of rows, run-length coded.

    Args:
        runs: (count, rows) pairs in order: ``count`` shards of ``rows`` rows each.
    """

    runs: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return self._first_shard_of_run[-1]

    @property
    def num_rows(self) -> int:
        """Rows of all shards."""
        return self._first_row_of_run[-1]

    def rows_of(self, shard_id: int) -> range:
        """The row ids of a shard."""
        run = bisect_right(self._first_shard_of_run, shard_id) - 1
        if shard_id < 0 or run >= len(self.runs):
            raise IndexError(f"shard_id must be in 0 to {len(self) - 1}, got {shard_id}")
        rows = self.runs[run][1]
        first = self._first_row_of_run[run] + (shard_id - self._first_shard_of_run[run]) * rows
        return range(first, first + rows)

    @cached_property
    def _first_shard_of_run(self) -> list[int]:
        return list(accumulate((count for count, _ in self.runs), initial=0))

    @cached_property
    def _first_row_of_run(self) -> list[int]:
        return list(accumulate((count * rows for count, rows in self.runs), initial=0))


def default_rows_per_shard(num_rows: int) -> int:
    """Rows of a shard where the user names none."""
    rows = MAX_ROWS
    while rows > MIN_ROWS and num_rows < rows * WANTED_SHARDS:
        rows //= 2
    return rows


def rows_of_later_shards(image_bytes: int | None) -> int:
    """Rows of a default shard behind the first part of a listing.

    Args:
        image_bytes: of a prepared image; None where that depends on the image.
    """
    rows = MAX_ROWS
    while image_bytes is not None and rows < MAX_LATER_ROWS and 2 * rows * image_bytes <= LATER_BYTES:
        rows *= 2
    return rows


def cut_shards(num_rows: int, *, rows_per_shard: int, is_first: bool = True, is_last: bool = True) -> Shards:
    """Cut rows into shards, smaller at both ends of a long run.

    Args:
        num_rows: at least 1.
        rows_per_shard: rows of a shard in the middle of the run.
        is_first: whether the run begins with these rows.
        is_last: whether it ends with them.
    """
    head = (NUM_HEAD, max(1, rows_per_shard // HEAD_DIVISOR)) if is_first else (0, 0)
    tail = (NUM_TAIL, max(1, rows_per_shard // TAIL_DIVISOR)) if is_last else (0, 0)
    ends = head[0] * head[1] + tail[0] * tail[1]
    if num_rows < ends + rows_per_shard * WANTED_SHARDS // 2:
        return Shards(merge_runs([*divide(num_rows, rows_per_shard)]))
    return Shards(merge_runs([run for run in (head, *divide(num_rows - ends, rows_per_shard), tail) if run[0]]))


def divide(num_rows: int, rows: int) -> list[tuple[int, int]]:
    """Whole shards and the rest."""
    whole, rest = divmod(num_rows, rows)
    return [run for run in ((whole, rows), (1, rest)) if run[0] and run[1]]


def merge_runs(runs: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Neighbouring runs of equal rows become one."""
    merged: list[tuple[int, int]] = []
    for count, rows in runs:
        if merged and merged[-1][1] == rows:
            merged[-1] = (merged[-1][0] + count, rows)
        else:
            merged.append((count, rows))
    return tuple(merged)
