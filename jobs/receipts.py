"""Receipts of shards as Ray commits them, with Ray's errors translated and a watchdog beside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import pyarrow as pa

from inference_core.errors import JobError
from jobs.commits import CommitLog
from jobs.pools import Pools
from jobs.stage_settings import StageSettings
from jobs.suspects import note_suspects
from jobs.watchdog import StalledError, Watchdog

NO_START = "error raised in its creation task"
"""How Ray says that a worker refused to start: no image is to blame, and quarantine would meet the same."""
OWN_ERROR = re.compile(r"^inference_core\.errors\.(\w+): (.+)$", re.MULTILINE)
ANY_ERROR = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception|Exit|Interrupt)): (.+)$", re.MULTILINE)
RAY_WRAPPERS = ("UserCodeException", "RayTaskError", "RayDataUserCodeException", "SystemException")
"""Errors of Ray that only say that another one happened."""


class WorkersDiedError(JobError):
    """Processes of workers ended, not by an error of Python's."""


def pipeline_receipts(shard_ids: Sequence[int], settings: StageSettings, *, pools: Pools) -> Iterator[pa.Table]:
    """Receipts of shards as the pipeline commits them; none where nothing is to do.

    Shards that workers die on are left out, and so are all that follow where too many die.
    """
    if shard_ids:
        from jobs.pipeline import build_pipeline
        from jobs.runtime import watched_by

        watchdog = Watchdog(
            settings.no_progress_timeout_s,
            shard_ids=shard_ids,
            find_left=lambda: uncommitted(settings.output, shard_ids),
            note=lambda suspects: note_suspects(settings.output, suspects),
        )
        with watched_by(watchdog), suppress(WorkersDiedError):
            for receipts in iterate(build_pipeline(shard_ids, settings, pools=pools), watchdog=watchdog):
                watchdog.touch(receipts["shard_id"].to_pylist())
                yield receipts


def quarantine_receipts(shard_ids: Sequence[int], settings: StageSettings, *, pools: Pools) -> Iterator[pa.Table]:
    """Receipts of shards as children commit them.

    Raises:
        JobError: one cannot be done there either, or nothing moves.
    """
    from jobs.pipeline import build_quarantine
    from jobs.runtime import set_tolerance, watched_by

    watchdog = Watchdog(
        quarantine_patience_s(settings, shard_ids),
        shard_ids=shard_ids,
        find_left=lambda: uncommitted(settings.output, shard_ids, generation=settings.generation),
        note=lambda suspects: None,  # they are in quarantine already
    )
    with watched_by(watchdog):
        with set_tolerance(num_shards=0):
            receipts = build_quarantine(shard_ids, settings, pools=pools)
        for table in iterate(receipts, watchdog=watchdog):
            watchdog.touch(table["shard_id"].to_pylist())
            yield table


def quarantine_patience_s(settings: StageSettings, shard_ids: Sequence[int]) -> float:
    """How long quarantine may go without a commit: each image of a shard may take all its time, in two children."""
    most_rows = max(len(settings.shards.rows_of(shard_id)) for shard_id in shard_ids)
    return settings.no_progress_timeout_s + 2 * most_rows * settings.image_timeout_s


def uncommitted(output: str, shard_ids: Iterable[int], *, generation: int = 0) -> list[int]:
    """Those of some shards that are not committed, in the run itself or in a retry of it."""
    done = CommitLog(output, generation=generation).committed()
    return [shard_id for shard_id in shard_ids if shard_id not in done]


def iterate(receipts: object, *, watchdog: Watchdog | None = None) -> Iterator[pa.Table]:
    """Receipts as shards are committed, with Ray's errors translated, and that of the watchdog as it is."""
    from ray.data import Dataset
    from ray.data.exceptions import ExecutionTimeoutError, SystemException
    from ray.exceptions import RayError, RayTaskError

    assert isinstance(receipts, Dataset), "the pipeline is a dataset"
    try:
        yield from receipts.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except (RayError, ExecutionTimeoutError, SystemException, StalledError) as exc:
        if watchdog is not None and watchdog.error is not None:
            raise watchdog.error from exc
        is_death = isinstance(exc, RayError) and not isinstance(exc, RayTaskError) and NO_START not in str(exc)
        raise (WorkersDiedError if is_death else JobError)(
            f"the run stopped: {root_cause(exc)}; what is committed stays, and the same command goes on from there"
        ) from exc


def root_cause(error: BaseException) -> str:
    """Why a worker stopped: the last of our own errors that Ray's text holds, else the last of any, else its beginning.

    Ray keeps the chain of causes as text only.
    """
    text = str(error)
    named: list[tuple[str, str]] = OWN_ERROR.findall(text) or [
        found for found in ANY_ERROR.findall(text) if found[0] not in RAY_WRAPPERS
    ]
    if named:
        name, message = named[-1]
        return f"{name}: {message}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
