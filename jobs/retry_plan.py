"""Which rows of a finished run a retry does again: fixed when it begins, so that it can be gone on with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from inference_core import storage
from inference_core.status import Status
from inference_core.validation import Frozen
from jobs.commits import CommitLog, CommitRecord
from jobs.config import LimitsConfig
from jobs.manifest import Manifest, read_refs

RETRIES = "_retries"


class RetryPlan(Frozen):
    """``_retries/0001.json``."""

    generation: int
    """Of the commit log; 1 for a run's first retry."""
    statuses: tuple[Status, ...]
    """Of the rows that are done again, sorted."""
    limits: LimitsConfig
    """In place of the run's."""
    selected: Mapping[int, tuple[int, ...]]
    """By shard, the positions in it of the rows that are done again."""

    @property
    def num_rows(self) -> int:
        """Rows that are done again."""
        return sum(len(positions) for positions in self.selected.values())


def read_retries(output: str) -> list[RetryPlan]:
    """All retries of a run, first to last."""
    folder = storage.join(output, RETRIES)
    found = storage.list_objects(folder, recursive=False)
    return [RetryPlan.model_validate_json(storage.read_bytes(entry.uri)) for entry in found]


def store_retry(output: str, plan: RetryPlan) -> bool:
    """Write a retry; its creation is what makes it exist. False where another command was first."""
    return storage.create(retry_uri(output, plan.generation), plan.model_dump_json().encode())


def retry_uri(output: str, generation: int) -> str:
    """Where a retry is stored."""
    return storage.join(output, RETRIES, f"{generation:04d}.json")


@lru_cache(maxsize=1)
def read_selection(output: str, generation: int) -> Mapping[int, tuple[int, ...]]:
    """By shard, the positions of the rows that a retry does again; it never changes."""
    return RetryPlan.model_validate_json(storage.read_bytes(retry_uri(output, generation))).selected


def shards_left(output: str, plan: RetryPlan) -> list[int]:
    """Shards that a retry has not committed yet."""
    return sorted(set(plan.selected) - CommitLog(output, generation=plan.generation).committed())


def select_rows(
    records: Iterable[CommitRecord], manifest: Manifest, *, statuses: Iterable[Status]
) -> dict[int, tuple[int, ...]]:
    """By shard, the positions of rows with one of some statuses.

    Args:
        records: that count, of all shards.
        manifest: the run's listing; only shards with such rows are read.
        statuses: none of them ok.
    """
    wanted = set(statuses)
    selected: dict[int, tuple[int, ...]] = {}
    for record in records:
        ids = {error.image_id for error in record.errors if error.status in wanted}
        if ids:
            refs = read_refs(manifest.read_shard(record.shard_id))
            selected[record.shard_id] = tuple(index for index, ref in enumerate(refs) if ref.image_id in ids)
    return selected
