"""The stages of the pipeline: each maps columns to calls of the core and back, and knows nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache, partial
from itertools import groupby, islice
from typing import TypeVar

import pyarrow as pa

from inference_core.errors import JobError
from inference_core.items import Prediction, RawItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_finisher, build_runner
from inference_core.runner import Runner
from jobs.claims import PATIENCE_S, claim
from jobs.columns import (
    RECEIPT_SCHEMA,
    Keys,
    decode_prepared,
    decode_raw,
    encode_prepared,
    encode_raw,
    pack_shards,
    unpack_shards,
    workers_of,
)
from jobs.golden import check_worker
from jobs.planned_package import read_package
from jobs.prepare_worker import prepare_worker
from jobs.process_threads import set_process_threads
from jobs.reuse.known_answers import NO_ANSWERS, KnownAnswers
from jobs.sink import Receipt, ShardSink
from jobs.stage_settings import StageSettings
from jobs.worker_facts import WorkerFacts
from jobs.worker_watch import ModelWatch, ProcessWatch, SelfWatch

Sink = TypeVar("Sink", bound=ShardSink)

EXIT_QUIET = 71
"""Of a worker in which somebody's code called ``sys.exit``."""


class PrepareShards:
    """Reads and prepares the images of shards."""

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings

    def __call__(self, shards: pa.Table) -> pa.Table:
        """Shard ids in, prepared items out, a row for each shard."""
        with died_if_exited():
            return self._prepare_shards(shards)

    def _prepare_shards(self, shards: pa.Table) -> pa.Table:
        worker = prepare_worker(self._settings)
        keys, items = [], []
        for shard_id in shards["shard_id"].to_pylist():
            row_ids = self._settings.shards.rows_of(shard_id)
            keys += [Keys(shard_id=shard_id, row_id=row_id) for row_id in row_ids]
            items += list(worker.prepare(shard_id))
        packed = encode_prepared(keys, items)
        return pack_shards(packed, workers=[(ProcessWatch("prepare").tell(),)] * len(shards))


class InferShards:
    """Runs the model on prepared items."""

    def __init__(self, settings: StageSettings) -> None:
        set_process_threads(settings.num_threads)
        self._runner = make_runner(settings)
        self._watch = ModelWatch("infer", self._runner)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Prepared items in, raw items out, a row for each shard."""
        with died_if_exited():
            return self._infer_shards(table)

    def _infer_shards(self, table: pa.Table) -> pa.Table:
        keys, items = decode_prepared(unpack_shards(table))
        raw: list[RawItem] = []
        for _, pairs in groupby(zip(keys, items, strict=True), key=lambda pair: pair[0].shard_id):
            raw += self._runner.infer([item for _, item in pairs])
        told = self._watch.tell()
        return pack_shards(encode_raw(keys, raw), workers=[(*before, told) for before in workers_of(table)])


class CommitShards:
    """Finishes raw items and commits their shards."""

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings

    def __call__(self, table: pa.Table) -> pa.Table:
        """Raw items in, a row for each shard; receipts out."""
        worker, watch = commit_worker(self._settings), ProcessWatch("commit")
        started_s = time.time()
        keys, items = decode_raw(unpack_shards(table))
        receipts = []
        groups = groupby(zip(keys, items, strict=True), key=lambda pair: pair[0].shard_id)
        for (shard_id, pairs), before in zip(groups, workers_of(table), strict=True):
            rows = list(pairs)
            check_row_ids(shard_id, [key.row_id for key, _ in rows], expected=self._settings.shards.rows_of(shard_id))
            predictions = (worker.finisher.finish(item) for _, item in rows)
            receipts.append(
                worker.sink.commit(
                    shard_id, predictions, started_s=started_s, workers=partial(tell_after, before, watch)
                )
            )
        return receipts_table(receipts)


class WholeShards:
    """Does everything for one shard after the other, on one thread."""

    def __init__(self, settings: StageSettings) -> None:
        set_process_threads(settings.num_threads)
        self._claims = settings.claims
        self._runner = make_runner(settings)
        self._prepare = prepare_worker(settings)
        self._commit = commit_worker(settings)
        self._watch = ModelWatch("workers", self._runner)

    def __call__(self, shards: pa.Table) -> pa.Table:
        """Shard ids in, receipts out."""
        with died_if_exited():
            return receipts_table([self._claim_shard(shard_id) for shard_id in shards["shard_id"].to_pylist()])

    def _claim_shard(self, shard_id: int) -> Receipt:
        # One that hangs elsewhere is begun here after a while: the commit log decides.
        with claim(self._claims, shard_id, patience_s=PATIENCE_S):
            return self._run_shard(shard_id)

    def _run_shard(self, shard_id: int) -> Receipt:
        # A call that is repeated, or a shard that the driver's children came to first, costs one look.
        if (found := self._commit.sink.find(shard_id)) is not None:
            return found
        return self._commit.sink.commit(
            shard_id,
            self._predict(shard_id),
            started_s=time.time(),
            workers=partial(tell_after, (), self._watch),
        )

    def _predict(self, shard_id: int) -> Iterator[Prediction]:
        """The shard's predictions, a batch at a time."""
        items = self._prepare.prepare(shard_id)
        while chunk := list(islice(items, self._runner.batch_size)):
            yield from map(self._commit.finisher.finish, self._runner.infer(chunk))


class CommitWorker:
    """What a process keeps to finish and commit shards of one run."""

    def __init__(self, settings: StageSettings) -> None:
        package = read_package(settings)
        self.finisher = build_finisher(package)
        self.sink = build_sink(ShardSink, settings, package, known_answers=KnownAnswers(settings.known_answers))


def build_sink(
    sink: type[Sink], settings: StageSettings, package: ModelPackage, *, known_answers: KnownAnswers = NO_ANSWERS
) -> Sink:
    """A sink of a worker.

    Args:
        sink: which one.
        settings: of the run or the retry.
        package: its model.
        known_answers: of earlier runs.
    """
    return sink(
        settings.output,
        run_id=settings.run_id,
        spec=package.spec,
        model_digest=package.digest,
        shards=settings.shards,
        planes=settings.planes,
        known_answers=known_answers,
        generation=settings.generation,
    )


@lru_cache(maxsize=1)
def commit_worker(settings: StageSettings) -> CommitWorker:
    """This process's CommitWorker."""
    return CommitWorker(settings)


def make_runner(settings: StageSettings) -> Runner:
    """The second verb on this worker's device, held to the golden images where the driver could not do it.

    Raises:
        ModelError: the package is not the planned one, or answers otherwise here.
    """
    package = read_package(settings)
    runner = build_runner(
        package,
        device=settings.device,
        engine=settings.engine,
        precision=settings.precision,
        batch_size=settings.batch_size,
        size_of_shape=dict(settings.size_of_shape),
        compiles=settings.compiles,
        cuda_graphs=settings.cuda_graphs,
        num_threads=settings.num_threads,
    )
    if settings.checks_golden:
        check_worker(package, runner)
    return runner


def check_row_ids(shard_id: int, row_ids: Sequence[int], *, expected: range) -> None:
    """Raise JobError unless items are those of the planned rows, in order."""
    if list(row_ids) != list(expected):
        num_found = len(set(expected).intersection(row_ids))
        raise JobError(f"shard {shard_id} must have {len(expected)} rows, got {num_found} in order; this is a bug")


@contextmanager
def died_if_exited() -> Iterator[None]:
    """Make code of a model's that exits look like a crash.

    Ray takes an actor that exits for one that wants to end: it is not replaced, and its shard waits for ever.
    """
    try:
        yield
    except SystemExit:
        os._exit(EXIT_QUIET)


def tell_after(before: tuple[WorkerFacts, ...], watch: SelfWatch) -> tuple[WorkerFacts, ...]:
    """What earlier workers told, and this one now."""
    return (*before, watch.tell())


def receipts_table(receipts: Sequence[Receipt]) -> pa.Table:
    """Receipts as a table of RECEIPT_SCHEMA."""
    return pa.Table.from_pylist([asdict(receipt) for receipt in receipts], schema=RECEIPT_SCHEMA)
