"""Write a shard: files first, then the record that makes them count."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import JobError
from inference_core.export.mask_files import SUFFIXES, PlaneOutput, encode_planes
from inference_core.export.masks import mask_name
from inference_core.export.rows import RowBuilder
from inference_core.items import Prediction
from inference_core.provenance import sha256_hex
from inference_core.quality_spec import REVIEW_SIZE
from inference_core.spec import ModelSpec
from inference_core.stats.summary import Summary
from inference_core.status import STATUSES
from jobs.commits import CommitLog, CommitRecord, DataFile, write_summary
from jobs.plan import read_plan
from jobs.reuse.known_answers import NO_ANSWERS, PLANE_FOLDERS, KnownAnswer, KnownAnswers, plane_uris_of
from jobs.shards import Shards
from jobs.worker_facts import WorkerFacts
from jobs.written_row import WrittenRow, error_of, error_row, taken_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of an attempt at a shard."""

    shard_id: int
    num_rows: int
    num_ok: int
    is_winner: bool
    """Whether this attempt's files are the ones that count."""


TellWorkers = Callable[[], tuple[WorkerFacts, ...]]
"""Called when a shard is written: what those who worked on it tell of themselves."""


def tell_nothing() -> tuple[WorkerFacts, ...]:
    """Nobody tells."""
    return ()


class ShardSink:
    """Commits the shards of one run.

    Args:
        output: the run's folder or prefix.
        run_id: the plan's.
        spec: the model's.
        model_digest: written into the rows' schema.
        shards: how the rows are cut.
        planes: what is kept of pixels.
        known_answers: of earlier runs.
        generation: of the commit log.
    """

    def __init__(
        self,
        output: str,
        *,
        run_id: str,
        spec: ModelSpec,
        model_digest: str,
        shards: Shards,
        planes: PlaneOutput,
        known_answers: KnownAnswers = NO_ANSWERS,
        generation: int = 0,
    ) -> None:
        self._output = output
        self._run_id = run_id
        self._spec = spec
        self._rows = RowBuilder(spec, model_digest=model_digest, planes=planes)
        self._shards = shards
        self._planes = planes
        self._known = known_answers
        self._log = CommitLog(output, generation=generation)

    def commit(
        self,
        shard_id: int,
        predictions: Iterable[Prediction],
        *,
        started_s: float,
        workers: TellWorkers = tell_nothing,
    ) -> Receipt:
        """Write a shard's rows and masks and commit them.

        Args:
            shard_id: the shard.
            predictions: one for each of its rows, in order; each is let go when its mask is written. One that is ok
                but has no result takes over the answer for its bytes: of an image of the shard before it, else of an
                earlier run.
            started_s: when the attempt began, seconds since 1970.
            workers: tells who worked on it.

        Returns:
            What counts now: this attempt, or the one that was first.

        Raises:
            JobError: the predictions are not the shard's rows. Nothing is committed.
        """
        row_ids = self._shards.rows_of(shard_id)
        written = self._write_all(shard_id, enumerate(predictions, start=row_ids.start))
        if len(written) != len(row_ids):
            raise JobError(f"shard {shard_id} must have {len(row_ids)} rows, got {len(written)}; this is a bug")
        attempt = secrets.token_hex(4)
        table = self._rows.table([entry.row for entry in written])
        data = self._write_rows(shard_id, attempt, table)
        record = self._record(shard_id, attempt, table, written, data=data, started_s=started_s, workers=workers())
        return self._create(record)

    def _create(self, record: CommitRecord) -> Receipt:
        """Commit what was written, or remove it where another attempt was first."""
        self._check_run()
        if not self._log.create(record):
            storage.delete_many([storage.join(self._output, *record.data.path.split("/"))])
            return receipt_of(self._log.read(record.shard_id), is_winner=False)
        return receipt_of(record, is_winner=True)

    def _write_all(self, shard_id: int, predictions: Iterable[tuple[int, Prediction]]) -> list[WrittenRow]:
        """Write masks and maps of predictions, each with its row id, and make their rows."""
        written: list[WrittenRow] = []
        first_of: dict[tuple[str, int], WrittenRow] = {}
        for row_id, prediction in predictions:
            is_known = prediction.is_ok and prediction.result is None
            write = partial(self._take_over, first_of=first_of) if is_known else self._write_one
            written.append(write(shard_id, row_id, prediction))
            first_of.setdefault(written[-1].key, written[-1])
        return written

    def find(self, shard_id: int) -> Receipt | None:
        """The receipt of a shard that is committed already, else None."""
        if not self._log.is_committed(shard_id):
            return None
        return receipt_of(self._log.read(shard_id), is_winner=False)

    def _write_one(self, shard_id: int, row_id: int, prediction: Prediction) -> WrittenRow:
        """Write a prediction's mask and map, if it has them, and make its row."""
        row = self._rows.row(prediction, row_id=row_id)
        files = encode_planes(prediction, self._planes, num_classes=len(self._spec.classes))
        for column, encoded in files.items():
            row[column] = self._write_plane(shard_id, prediction.source.image_id, column, encoded)
        return WrittenRow(
            row=row,
            has_mask=row.get("mask_path") is not None,
            error=None if prediction.is_ok else error_row(prediction),
            engine=prediction.engine,
        )

    def _take_over(
        self,
        shard_id: int,
        row_id: int,
        prediction: Prediction,
        *,
        first_of: Mapping[tuple[str, int], WrittenRow],
    ) -> WrittenRow:
        """Make the row of an image whose answer is known, and write its mask and map."""
        source = prediction.source
        first = first_of.get((source.sha256, source.page))
        known = self._own_answer(first) if first else self._known.find(source.sha256, source.page)
        if known is None:
            raise JobError(
                f"the answer for {source.uri} must stay in the run that reuse names, but is gone; run the same command "
                "again: it is inferred then"
            )
        row = taken_row(known, prediction, row_id=row_id)
        for column, uri in known.plane_uris.items():
            row[column] = self._write_plane(shard_id, source.image_id, column, storage.read_bytes(uri))
        return WrittenRow(
            row=row,
            has_mask="mask_path" in known.plane_uris,
            error=None if row["status"] == "ok" else error_of(row),
            engine=known.engine,
            is_duplicate=first is not None,
        )

    def _own_answer(self, first: WrittenRow) -> KnownAnswer:
        """What an image of the shard gives to an equal one behind it."""
        return KnownAnswer(
            row=first.row,
            run_id=first.row["reused_from"],
            engine=first.engine,
            plane_uris=plane_uris_of(first.row, self._output),
        )

    def _write_plane(self, shard_id: int, image_id: str, column: str, encoded: bytes) -> str:
        """Write a mask or a map; its path below the output.

        The name does not depend on the attempt. A file that an earlier attempt left is kept where it is the same, and
        replaced only while the shard is not committed.
        """
        kind = self._planes.masks if column == "mask_path" else self._planes.map_format
        path = mask_name(image_id, folder=PLANE_FOLDERS[column], suffix=SUFFIXES[kind])
        uri = storage.join(self._output, *path.split("/"))
        is_other = not storage.create(uri, encoded) and storage.read_bytes(uri) != encoded
        if is_other and not self._log.is_committed(shard_id):
            storage.replace(uri, encoded)
        return path

    def _write_rows(self, shard_id: int, attempt: str, table: pa.Table) -> DataFile:
        """Write the rows under a name that no other attempt has."""
        buffer = BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        encoded = buffer.getvalue()
        path = f"data/part-{shard_id:06d}-{attempt}.parquet"
        if not storage.create(storage.join(self._output, *path.split("/")), encoded):
            raise JobError(f"{path} must be new, got an existing file; run the same command again")
        return DataFile(path=path, size_bytes=len(encoded), sha256=sha256_hex(encoded))

    def _check_run(self) -> None:
        """Raise JobError where the output was cleared and holds another run by now."""
        plan = read_plan(self._output)
        if plan is None or plan.run_id != self._run_id:
            raise JobError(
                f"{self._output} must hold run {self._run_id}, got another or none; this worker's run is over"
            )

    def _record(
        self,
        shard_id: int,
        attempt: str,
        table: pa.Table,
        written: Sequence[WrittenRow],
        *,
        data: DataFile,
        started_s: float,
        workers: tuple[WorkerFacts, ...],
    ) -> CommitRecord:
        """The commit record of what was written."""
        summary = summary_of(table, self._spec)
        check_ledger(summary, num_rows=len(table), shard_id=shard_id)
        return CommitRecord(
            run_id=self._run_id,
            shard_id=shard_id,
            attempt=attempt,
            num_rows=summary.num_rows,
            status_counts=dict(summary.status),
            data=data,
            num_masks=sum(entry.has_mask for entry in written),
            num_reused=sum(entry.row["reused_from"] is not None for entry in written),
            num_duplicates=sum(entry.is_own_answer for entry in written),
            errors=tuple(entry.error for entry in written if entry.error is not None),
            summary=write_summary(summary),
            engine=next((entry.engine for entry in written if entry.engine), ""),
            host=socket.gethostname(),
            started_s=started_s,
            wall_s=time.time() - started_s,
            workers=workers,
        )


def summary_of(table: pa.Table, spec: ModelSpec) -> Summary:
    """The summary of a shard's rows."""
    review_size = spec.quality.review_size if spec.quality is not None else REVIEW_SIZE
    return Summary.of(table, task=spec.task, class_names=spec.classes, review_size=review_size)


def check_ledger(summary: Summary, *, num_rows: int, shard_id: int) -> None:
    """Raise JobError unless every row has one of the known statuses."""
    counted = sum(summary.status[status] for status in STATUSES)
    if not counted == summary.num_rows == num_rows:
        raise JobError(f"shard {shard_id} must account for {num_rows} rows, got {counted} by status; this is a bug")


def receipt_of(record: CommitRecord, *, is_winner: bool) -> Receipt:
    """The receipt of a committed shard."""
    return Receipt(
        shard_id=record.shard_id, num_rows=record.num_rows, num_ok=record.status_counts["ok"], is_winner=is_winner
    )
