"""Write a shard: files first, then the record that makes them count."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import JobError
from inference_core.export.masks import encode_mask, mask_name
from inference_core.export.rows import RowBuilder
from inference_core.provenance import sha256_hex
from inference_core.records import Prediction, Segmentation
from inference_core.spec import ModelSpec
from inference_core.stats.summary import Summary
from inference_core.status import STATUSES
from jobs.commits import CommitLog, CommitRecord, DataFile, write_summary
from jobs.plan import read_plan
from jobs.report.facts import ErrorRow
from jobs.shards import Shards


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of an attempt at a shard."""

    shard_id: int
    num_rows: int
    num_ok: int
    is_winner: bool
    """Whether this attempt's files are the ones that count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRow:
    """What is kept of a prediction until its shard is committed: no pixels."""

    row: dict[str, Any]
    """By column name."""
    has_mask: bool
    error: ErrorRow | None
    engine: str


class ShardSink:
    """Commits the shards of one run.

    Args:
        output: the run's folder or prefix.
        run_id: the plan's.
        spec: the model's.
        model_digest: written into the rows' schema.
        shards: how the rows are cut.
        writes_masks: whether segmentation masks become PNG files, and rows hold the masks of instances.
    """

    def __init__(
        self, output: str, *, run_id: str, spec: ModelSpec, model_digest: str, shards: Shards, writes_masks: bool
    ) -> None:
        self._output = output
        self._run_id = run_id
        self._spec = spec
        self._rows = RowBuilder(spec, model_digest=model_digest, keeps_masks=writes_masks)
        self._shards = shards
        self._writes_masks = writes_masks and spec.task == "segmentation"
        self._log = CommitLog(output)

    def commit(self, shard_id: int, predictions: Iterable[Prediction], *, started_s: float) -> Receipt:
        """Write a shard's rows and masks and commit them.

        Args:
            shard_id: the shard.
            predictions: one for each of its rows, in order; each is let go when its mask is written.
            started_s: when the attempt began, seconds since 1970.

        Returns:
            What counts now: this attempt, or the one that was first.

        Raises:
            JobError: the predictions are not the shard's rows. Nothing is committed.
        """
        row_ids = self._shards.rows_of(shard_id)
        written = [self._write_one(shard_id, index, prediction) for index, prediction in enumerate(predictions)]
        if len(written) != len(row_ids):
            raise JobError(f"shard {shard_id} must have {len(row_ids)} rows, got {len(written)}; this is a bug")
        attempt = secrets.token_hex(4)
        table = self._rows.table([entry.row for entry in written])
        data = self._write_rows(shard_id, attempt, table)
        record = self._record(shard_id, attempt, table, written, data=data, started_s=started_s)
        self._check_run()
        if not self._log.create(record):
            storage.delete_many([storage.join(self._output, data.path)])
            return receipt_of(self._log.read(shard_id), is_winner=False)
        return receipt_of(record, is_winner=True)

    def find(self, shard_id: int) -> Receipt | None:
        """The receipt of a shard that is committed already, else None."""
        if not self._log.is_committed(shard_id):
            return None
        return receipt_of(self._log.read(shard_id), is_winner=False)

    def _write_one(self, shard_id: int, index: int, prediction: Prediction) -> WrittenRow:
        """Write a prediction's mask, if it has one, and make its row."""
        row = self._rows.row(prediction, row_id=self._shards.rows_of(shard_id).start + index)
        has_mask = self._writes_masks and isinstance(prediction.result, Segmentation)
        if has_mask:
            row["mask_path"] = self._write_mask(shard_id, prediction)
        return WrittenRow(
            row=row,
            has_mask=has_mask,
            error=None if prediction.is_ok else error_row(prediction),
            engine=prediction.engine,
        )

    def _write_mask(self, shard_id: int, prediction: Prediction) -> str:
        """Write the mask; its path below the output.

        The name does not depend on the attempt. A mask that an earlier attempt left is kept where it is the same, and
        replaced only while the shard is not committed.
        """
        assert isinstance(prediction.result, Segmentation), "only segmentations have masks"
        path = mask_name(prediction.source.image_id)
        uri = storage.join(self._output, *path.split("/"))
        encoded = encode_mask(prediction.result.mask, num_classes=len(self._spec.classes))
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
    ) -> CommitRecord:
        """The commit record of what was written."""
        summary = Summary.of(table, task=self._spec.task, class_names=self._spec.classes)
        check_ledger(summary, num_rows=len(written), shard_id=shard_id)
        return CommitRecord(
            run_id=self._run_id,
            shard_id=shard_id,
            attempt=attempt,
            num_rows=summary.num_rows,
            status_counts=dict(summary.status),
            data=data,
            num_masks=sum(entry.has_mask for entry in written),
            errors=tuple(entry.error for entry in written if entry.error is not None),
            summary=write_summary(summary),
            engine=next((entry.engine for entry in written if entry.engine), ""),
            host=socket.gethostname(),
            started_s=started_s,
            wall_s=time.time() - started_s,
        )


def check_ledger(summary: Summary, *, num_rows: int, shard_id: int) -> None:
    """Raise JobError unless every row has one of the known statuses."""
    counted = sum(summary.status[status] for status in STATUSES)
    if not counted == summary.num_rows == num_rows:
        raise JobError(f"shard {shard_id} must account for {num_rows} rows, got {counted} by status; this is a bug")


def error_row(prediction: Prediction) -> ErrorRow:
    """What the error list keeps of a prediction without result."""
    source = prediction.source
    return ErrorRow(image_id=source.image_id, uri=source.uri, status=prediction.status, error=prediction.error)


def receipt_of(record: CommitRecord, *, is_winner: bool) -> Receipt:
    """The receipt of a committed shard."""
    return Receipt(
        shard_id=record.shard_id, num_rows=record.num_rows, num_ok=record.status_counts["ok"], is_winner=is_winner
    )
