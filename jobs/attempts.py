"""One small record for each command that worked on a run: when it began and with what."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise

from inference_core import storage
from inference_core.validation import Frozen
from jobs.commits import CommitRecord

ATTEMPTS = "_attempts"


class AttemptRecord(Frozen):
    """``_attempts/0001.json``."""

    started_s: float
    """Seconds since 1970."""
    layout: str
    layout_reason: str
    actors: int
    num_cores: int
    versions: dict[str, str]


def note_attempt(output: str, record: AttemptRecord) -> None:
    """Add a record under the next free number."""
    number = len(read_attempts(output)) + 1
    while not storage.create(attempt_uri(output, number), record.model_dump_json().encode()):
        number += 1


def read_attempts(output: str) -> list[AttemptRecord]:
    """All records, first to last."""
    folder = storage.join(output, ATTEMPTS)
    uris = [found.uri for found in storage.list_objects(folder, recursive=False)]
    return [AttemptRecord.model_validate(json.loads(storage.read_bytes(uri))) for uri in uris]


def attempt_uri(output: str, number: int) -> str:
    """Where a record lies."""
    return storage.join(output, ATTEMPTS, f"{number:04d}.json")


def worked_s(attempts: Iterable[AttemptRecord], commits: Iterable[CommitRecord]) -> float:
    """Seconds of work over all attempts: from each one's beginning to the last commit before the next one began."""
    starts = sorted(attempt.started_s for attempt in attempts)
    ends = sorted(record.started_s + record.wall_s for record in commits)
    total = 0.0
    for start, following in pairwise([*starts, float("inf")]):
        last = max((end for end in ends if start <= end < following), default=start)
        total += last - start
    return total
