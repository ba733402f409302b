"""The stages of the pipeline: each maps columns to calls of the core and back, and knows nothing else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import groupby, islice

import pyarrow as pa

from inference_core import storage
from inference_core.errors import JobError, ModelError
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_finisher, build_preparer, build_runner
from inference_core.preparer import elapsed_ms
from inference_core.records import Prediction, PreparedItem, RawItem
from inference_core.runner import Runner
from jobs.columns import (
    RECEIPT_SCHEMA,
    Keys,
    decode_prepared,
    decode_raw,
    encode_prepared,
    encode_raw,
    pack_shards,
    unpack_shards,
)
from jobs.config import LimitsConfig
from jobs.golden import check_preparing, check_worker
from jobs.manifest import read_shard_rows
from jobs.shards import Shards
from jobs.sink import Receipt, ShardSink

FETCH_CONCURRENCY = 32
"""Reads in flight per process; local files that are fast to read need none."""


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """All that a worker needs to know of a run: small, picklable, the same for every stage."""

    output: str
    run_id: str
    manifest_uri: str
    shards: Shards
    model_uri: str
    model_digest: str
    trusts_code: bool
    """Whether Python files of the package may be run."""
    limits: LimitsConfig
    writes_masks: bool
    device: str
    engine: str
    precision: str
    batch_size: int | None
    size_of_shape: tuple[tuple[tuple[int, int], int], ...]
    """(h, w) of tiles with the tiles of a forward, where fewer than ``batch_size`` are faster."""
    compiles: bool
    cuda_graphs: bool
    num_threads: int
    checks_golden: bool
    """Whether workers replay the package's golden images: they do where they are not as the driver is."""


class PrepareShards:
    """Reads and prepares the images of shards."""

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings

    def __call__(self, shards: pa.Table) -> pa.Table:
        """Shard ids in, prepared items out, a row for each shard."""
        worker = prepare_worker(self._settings)
        keys, items = [], []
        for shard_id in shards["shard_id"].to_pylist():
            row_ids = self._settings.shards.rows_of(shard_id)
            keys += [Keys(shard_id=shard_id, row_id=row_id) for row_id in row_ids]
            items += list(worker.prepare(shard_id))
        return pack_shards(encode_prepared(keys, items))


class InferShards:
    """Runs the model on prepared items."""

    def __init__(self, settings: StageSettings) -> None:
        set_process_threads(settings.num_threads)
        self._runner = make_runner(settings)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Prepared items in, raw items out, a row for each shard."""
        keys, items = decode_prepared(unpack_shards(table))
        raw: list[RawItem] = []
        for _, pairs in groupby(zip(keys, items, strict=True), key=lambda pair: pair[0].shard_id):
            raw += self._runner.infer([item for _, item in pairs])
        return pack_shards(encode_raw(keys, raw))


class CommitShards:
    """Finishes raw items and commits their shards."""

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings

    def __call__(self, table: pa.Table) -> pa.Table:
        """Raw items in, a row for each shard; receipts out."""
        worker = commit_worker(self._settings)
        started_s = time.time()
        keys, items = decode_raw(unpack_shards(table))
        receipts = []
        for shard_id, pairs in groupby(zip(keys, items, strict=True), key=lambda pair: pair[0].shard_id):
            rows = list(pairs)
            check_row_ids(shard_id, [key.row_id for key, _ in rows], expected=self._settings.shards.rows_of(shard_id))
            predictions = (worker.finisher.finish(item) for _, item in rows)
            receipts.append(worker.sink.commit(shard_id, predictions, started_s=started_s))
        return receipts_table(receipts)


class WholeShards:
    """Does everything for one shard after the other, on one thread."""

    def __init__(self, settings: StageSettings) -> None:
        set_process_threads(settings.num_threads)
        self._runner = make_runner(settings)
        self._prepare = prepare_worker(settings)
        self._commit = commit_worker(settings)

    def __call__(self, shards: pa.Table) -> pa.Table:
        """Shard ids in, receipts out."""
        return receipts_table([self._run_shard(shard_id) for shard_id in shards["shard_id"].to_pylist()])

    def _run_shard(self, shard_id: int) -> Receipt:
        # A call that is repeated, or a shard that the driver's children came to first, costs one look.
        if (found := self._commit.sink.find(shard_id)) is not None:
            return found
        return self._commit.sink.commit(shard_id, self._predict(shard_id), started_s=time.time())

    def _predict(self, shard_id: int) -> Iterator[Prediction]:
        """The shard's predictions, a batch at a time."""
        items = self._prepare.prepare(shard_id)
        while chunk := list(islice(items, self._runner.batch_size)):
            yield from map(self._commit.finisher.finish, self._runner.infer(chunk))


class PrepareWorker:
    """What a process keeps to prepare shards of one run."""

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings
        limits = settings.limits
        package = read_package(settings)
        if settings.checks_golden:
            check_preparing(package)
        self._preparer = build_preparer(package, limits=limits.to_limits(), max_fit_pixels=limits.max_fit_pixels)

    def prepare(self, shard_id: int) -> Iterator[PreparedItem]:
        """The prepared items of a shard, in order, read ahead where reading is slow."""
        rows = read_shard_rows(self._settings.manifest_uri, shard_id).select(["image_id", "uri"]).to_pylist()
        max_bytes = self._settings.limits.max_bytes
        fetched = storage.read_many((row["uri"] for row in rows), concurrency=FETCH_CONCURRENCY, max_bytes=max_bytes)
        for row in rows:
            started = time.perf_counter()
            source = next(fetched)
            fetch_ms = elapsed_ms(started)
            yield self._preparer.prepare(source, image_id=row["image_id"], uri=row["uri"], fetch_ms=fetch_ms)


class CommitWorker:
    """What a process keeps to finish and commit shards of one run."""

    def __init__(self, settings: StageSettings) -> None:
        package = read_package(settings)
        self.finisher = build_finisher(package)
        self.sink = ShardSink(
            settings.output,
            run_id=settings.run_id,
            spec=package.spec,
            model_digest=package.digest,
            shards=settings.shards,
            writes_masks=settings.writes_masks,
        )


@lru_cache(maxsize=1)
def prepare_worker(settings: StageSettings) -> PrepareWorker:
    """This process's PrepareWorker; tasks come and go, the process and its worker stay."""
    set_process_threads(settings.num_threads)
    return PrepareWorker(settings)


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


def read_package(settings: StageSettings) -> ModelPackage:
    """The run's package.

    Raises:
        ModelError: it is no longer the one that was planned.
    """
    package = load_package(settings.model_uri, trusts_code=settings.trusts_code)
    if package.digest != settings.model_digest:
        raise ModelError(
            f"{settings.model_uri} must be the planned model {settings.model_digest[:12]}, got "
            f"{package.digest[:12]}: it was changed while the run went on, or the code that it names is another on "
            "this worker; restore it and run the same command again"
        )
    return package


def check_row_ids(shard_id: int, row_ids: Sequence[int], *, expected: range) -> None:
    """Raise JobError unless items are those of the planned rows, in order."""
    if list(row_ids) != list(expected):
        num_found = len(set(expected).intersection(row_ids))
        raise JobError(f"shard {shard_id} must have {len(expected)} rows, got {num_found} in order; this is a bug")


def set_process_threads(num_threads: int) -> None:
    """Keep libraries from starting a thread per core in every one of a machine's many processes."""
    import cv2

    cv2.setNumThreads(num_threads)
    # Read by torch and OpenMP when they load, which workers of other engines never do.
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(num_threads)


def receipts_table(receipts: Sequence[Receipt]) -> pa.Table:
    """Receipts as a table of RECEIPT_SCHEMA."""
    return pa.Table.from_pylist([asdict(receipt) for receipt in receipts], schema=RECEIPT_SCHEMA)
