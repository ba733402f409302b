"""The stages of the pipeline: each maps columns to calls of the core and back, and knows nothing else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from itertools import groupby, islice
from typing import TypeVar

import pyarrow as pa

from inference_core import storage
from inference_core.errors import JobError, ModelError
from inference_core.export.mask_files import PlaneOutput
from inference_core.items import Prediction, PreparedItem, RawItem, StageMs
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_finisher, build_preparer, build_runner
from inference_core.preparer import Preparer, PrepareSource, elapsed_ms
from inference_core.provenance import sha256_hex
from inference_core.records import SourceFacts
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
from jobs.config import LimitsConfig
from jobs.fetch import fetch_images
from jobs.golden import check_preparing, check_worker
from jobs.manifest import Manifest, read_refs
from jobs.reuse.known_answers import NO_ANSWERS, KnownAnswers
from jobs.shards import Shards
from jobs.sink import Receipt, ShardSink
from jobs.sources.image_ref import ImageRef
from jobs.worker_facts import WorkerFacts
from jobs.worker_watch import ModelWatch, ProcessWatch, SelfWatch

Sink = TypeVar("Sink", bound=ShardSink)

EXIT_QUIET = 71
"""Of a worker in which somebody's code called ``sys.exit``."""


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """All that a worker needs to know of a run: small, picklable, the same for every stage."""

    output: str
    run_id: str
    manifest: Manifest
    shards: Shards
    model_uri: str
    model_digest: str
    trusts_code: bool
    """Whether Python files of the package may be run."""
    limits: LimitsConfig
    bytes_column: str | None
    """Of Parquet files that hold images."""
    planes: PlaneOutput
    """What is kept of pixels."""
    device: str
    engine: str
    precision: str
    batch_size: int | None
    size_of_shape: tuple[tuple[tuple[int, int], int], ...]
    """(h, w) of tiles with the tiles of a forward, where fewer than ``batch_size`` are faster."""
    claims: str
    """Folder of this machine where processes claim shards while some have a head start; "" where none has."""
    known_answers: str
    """Index of answers that earlier runs gave for the same bytes; "" where there are none."""
    reuses_by_etag: bool
    """Whether images that lie unchanged where an earlier run found them are taken over unread."""
    infers_duplicates: bool
    """Whether images of a shard whose bytes are equal are inferred each."""
    compiles: bool
    cuda_graphs: bool
    num_threads: int
    no_progress_timeout_s: float
    """Without a commit, until the driver ends the run."""
    image_timeout_s: float
    """In quarantine, of one step of the work."""
    image_memory_bytes: int
    """In quarantine, beyond what the loaded model takes."""
    generation: int = 0
    """Of the commit log: 0 for the run itself, else the number of a retry."""
    checks_golden: bool
    """Whether workers replay the package's golden images: they do where they are not as the driver is."""


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


class PrepareWorker:
    """What a process keeps to prepare shards of one run."""

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings
        limits = settings.limits
        package = read_package(settings)
        if settings.checks_golden:
            check_preparing(package)
        self._preparer = build_preparer(package, limits=limits.to_limits(), max_fit_pixels=limits.max_fit_pixels)
        self._page = package.spec.input.decode.page
        self._known = KnownAnswers(settings.known_answers, has_places=settings.reuses_by_etag)

    def prepare(self, shard_id: int) -> Iterator[PreparedItem]:
        """The prepared items of a shard, in order, read ahead where reading is slow."""
        return self.prepare_refs(self.read_refs(shard_id))

    def read_refs(self, shard_id: int) -> list[ImageRef]:
        """The listed images of a shard, in order."""
        return list(read_refs(self._settings.manifest.read_shard(shard_id)))

    def prepare_refs(self, refs: Sequence[ImageRef]) -> Iterator[PreparedItem]:
        """The prepared items of some images of a shard."""
        settings = self._settings
        unread = {ref.image_id: found for ref in refs if (found := self._known.find_unread(ref)) is not None}
        to_read = [ref for ref in refs if ref.image_id not in unread]
        fetched = fetch_images(to_read, max_bytes=settings.limits.max_bytes, bytes_column=settings.bytes_column)
        seen: set[tuple[str, int]] = set()
        for ref in refs:
            if (found := unread.get(ref.image_id)) is not None:
                yield known_item(ref, size_bytes=found.size_bytes, sha256=found.sha256, page=found.page, fetch_ms=0.0)
                continue
            started = time.perf_counter()
            source = next(fetched)
            fetch_ms = elapsed_ms(started)
            if not isinstance(source, bytes):
                yield prepare_ref(self._preparer, ref, source, fetch_ms=fetch_ms)
                continue
            key = sha256_hex(source), self._page if ref.page is None else ref.page
            if key in self._known or key in seen:
                yield known_item(ref, size_bytes=len(source), sha256=key[0], page=key[1], fetch_ms=fetch_ms)
                continue
            item = prepare_ref(self._preparer, ref, source, fetch_ms=fetch_ms, sha256=key[0])
            if item.status == "ok" and not settings.infers_duplicates:
                seen.add(key)
            yield item


def known_item(ref: ImageRef, *, size_bytes: int, sha256: str, page: int, fetch_ms: float) -> PreparedItem:
    """An image with nothing to infer: the sink takes its answer over. It counts where batches are formed, as do images
    that cannot be decoded.
    """
    facts = replace(source_facts(ref), size_bytes=size_bytes, sha256=sha256, page=page)
    return PreparedItem(source=facts, stage_ms=StageMs(fetch=fetch_ms))


def prepare_ref(
    preparer: Preparer, ref: ImageRef, source: PrepareSource, *, fetch_ms: float = 0.0, sha256: str = ""
) -> PreparedItem:
    """The prepared item of a listed image."""
    return preparer.prepare(
        source,
        image_id=ref.image_id,
        uri=storage.mask_secrets(ref.uri),
        page=ref.page,
        frame_index=ref.frame_index,
        time_s=ref.time_s,
        fetch_ms=fetch_ms,
        sha256=sha256,
    )


def source_facts(ref: ImageRef) -> SourceFacts:
    """What is known of a listed image that nobody has touched."""
    return SourceFacts(
        image_id=ref.image_id,
        uri=storage.mask_secrets(ref.uri),
        page=ref.page or 0,
        frame_index=ref.frame_index,
        time_s=ref.time_s,
    )


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


@contextmanager
def died_if_exited() -> Iterator[None]:
    """Make code of a model's that exits look like a crash.

    Ray takes an actor that exits for one that wants to end: it is not replaced, and its shard waits for ever.
    """
    try:
        yield
    except SystemExit:
        os._exit(EXIT_QUIET)


def set_process_threads(num_threads: int) -> None:
    """Keep libraries from starting a thread per core in every one of a machine's many processes."""
    import cv2

    cv2.setNumThreads(num_threads)
    # Read by torch and OpenMP when they load, which workers of other engines never do.
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(num_threads)


def tell_after(before: tuple[WorkerFacts, ...], watch: SelfWatch) -> tuple[WorkerFacts, ...]:
    """What earlier workers told, and this one now."""
    return (*before, watch.tell())


def receipts_table(receipts: Sequence[Receipt]) -> pa.Table:
    """Receipts as a table of RECEIPT_SCHEMA."""
    return pa.Table.from_pylist([asdict(receipt) for receipt in receipts], schema=RECEIPT_SCHEMA)
