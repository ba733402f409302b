"""Commit a shard with some rows done anew: a new file of all its rows, and a record that supersedes the old one."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.export.native_source import native_source
from inference_core.items import Prediction
from jobs.commits import CommitLog, CommitRecord
from jobs.sink import Receipt, ShardSink, TellWorkers, tell_nothing


class RetrySink(ShardSink):
    """Commits the shards of one retry. The files of the superseded records stay until the run is finalised."""

    def commit_again(
        self,
        shard_id: int,
        predictions: Iterable[tuple[int, Prediction]],
        *,
        started_s: float,
        workers: TellWorkers = tell_nothing,
    ) -> Receipt:
        """Write a shard with some rows replaced, and commit it in this generation.

        Args:
            shard_id: the shard.
            predictions: of the rows that are done anew, each with its position in the shard, in order.
            started_s: when the attempt began, seconds since 1970.
            workers: tells who worked on it.
        """
        (old,) = CommitLog(self._output).read_many([shard_id])
        first = self._shards.rows_of(shard_id).start
        written = self._write_all(shard_id, ((first + position, found) for position, found in predictions))
        new_rows = self._rows.table([entry.row for entry in written])
        rows = replace_rows(self._read_rows(old), new_rows)
        attempt = secrets.token_hex(4)
        data = self._write_rows(shard_id, attempt, rows)
        record = self._record(shard_id, attempt, rows, written, data=data, started_s=started_s, workers=workers())
        errors = {error.image_id: error for error in (*old.errors, *record.errors)}
        failed = rows.filter(pc.not_equal(rows["status"], "ok"))
        return self._create(
            record.model_copy(
                update={
                    "errors": tuple(errors[image_id] for image_id in failed["image_id"].to_pylist()),
                    "num_masks": old.num_masks + record.num_masks,
                    "num_reused": len(rows) - rows["reused_from"].null_count,
                    "num_duplicates": old.num_duplicates + record.num_duplicates,
                    "engine": record.engine or old.engine,
                }
            )
        )

    def _read_rows(self, record: CommitRecord) -> pa.Table:
        """The rows that a record vouches for."""
        with storage.open_for_read(storage.join(self._output, *record.data.path.split("/"))) as file:
            return pq.read_table(native_source(file))


def replace_rows(old: pa.Table, new: pa.Table) -> pa.Table:
    """A shard's rows with some replaced, in order.

    Args:
        old: all rows of the shard.
        new: some of them, of the same schema.
    """
    is_kept = pc.invert(pc.is_in(old["row_id"], value_set=new["row_id"].combine_chunks()))
    return pa.concat_tables([old.filter(is_kept), new]).sort_by("row_id")
