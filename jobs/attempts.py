"""One small record for each command that worked on a run: when it began and with what."""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from pydantic import Field

from inference_core import storage
from inference_core.errors import StorageError
from inference_core.validation import Frozen
from jobs.peak_memory import process_peak_bytes

ATTEMPTS = "_attempts"
ATTEMPT_NAME = re.compile(r"\d+\.json")
END_NAME = re.compile(r"\d+-end\.json")


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


class AttemptEnd(Frozen):
    """``_attempts/0001-end.json``: of a command that was not killed."""

    ended_s: float
    """Seconds since 1970."""
    driver_peak_bytes: int | None
    """Most resident memory of the command; None where the system does not tell."""


def note_attempt(output: str, record: AttemptRecord) -> None:
    """Add a record under the next free number."""
    number = len(read_attempts(output)) + 1
    while not storage.create(attempt_uri(output, number), record.model_dump_json().encode()):
        number += 1


def read_attempts(output: str) -> list[AttemptRecord]:
    """All records, first to last."""
    uris = attempt_uris(output, ATTEMPT_NAME)
    return [AttemptRecord.model_validate(json.loads(storage.read_bytes(uri))) for uri in uris]


@contextmanager
def noted_end(output: str, *, started_s: float) -> Iterator[None]:
    """Keep how an attempt ended, whatever ends it but a kill.

    Args:
        output: the run's folder or prefix.
        started_s: of the attempt; nothing is kept of a command that noted none.
    """
    try:
        yield
    except BaseException:
        with suppress(StorageError):  # what ended the attempt is told, not this
            note_end(output, started_s=started_s)
        raise
    note_end(output, started_s=started_s)


def note_end(output: str, *, started_s: float) -> None:
    """Keep that the attempt that began then ends now."""
    for uri, attempt in zip(attempt_uris(output, ATTEMPT_NAME), read_attempts(output), strict=True):
        if attempt.started_s == started_s:
            end = AttemptEnd(ended_s=time.time(), driver_peak_bytes=process_peak_bytes())
            storage.create(f"{uri.removesuffix('.json')}-end.json", end.model_dump_json().encode())


def read_ends(output: str) -> list[AttemptEnd]:
    """What is known of the ends of attempts."""
    return [AttemptEnd.model_validate_json(storage.read_bytes(uri)) for uri in attempt_uris(output, END_NAME)]


def attempt_uris(output: str, name: re.Pattern[str]) -> list[str]:
    """The files of attempts whose names match, sorted."""
    found = storage.list_objects(storage.join(output, ATTEMPTS), recursive=False)
    return [entry.uri for entry in found if name.fullmatch(entry.path)]


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
