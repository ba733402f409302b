"""One small record for each command that worked on a run: when it began and with what."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable

from pydantic import Field

from inference_core import storage
from inference_core.validation import Frozen

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
    golden: str = ""
    """What became of the package's golden images before this command began."""
    prepare_tasks: int = 0
    """Split layout: that prepare at a time."""
    commit_tasks: int = 0
    """Split layout: that find room to commit beside all others."""
    num_gpus: int = 0
    """That actors infer on."""
    levers: dict[str, str] = Field(default_factory=dict)
    """What can be changed where a stage holds the run back, by stage."""


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


def worked_s(attempts: Iterable[AttemptRecord], spans_s: Iterable[tuple[float, float]]) -> float:
    """Seconds of work over all attempts, see ``work_of_attempts``."""
    return sum(work_of_attempts(attempts, spans_s).values())


def work_of_attempts(attempts: Iterable[AttemptRecord], spans_s: Iterable[tuple[float, float]]) -> dict[float, float]:
    """Seconds of work by the beginning of each attempt: to its last commit before the next one began.

    Args:
        attempts: in any order.
        spans_s: beginning and end of each committed shard.
    """
    starts = sorted(attempt.started_s for attempt in attempts)
    last_of = dict.fromkeys(starts, 0.0)
    for _, end in spans_s:
        position = bisect_right(starts, end)
        if position:
            start = starts[position - 1]
            last_of[start] = max(last_of[start], end - start)
    return last_of
