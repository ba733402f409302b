"""The stored listing: Parquet files of many shards each, a row group for a shard, so that workers read theirs alone.

A listing of any length is cut into parts as it comes: a part is stored and worked on while the next is listed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from io import BytesIO
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from inference_core import storage
from jobs.shards import MAX_ROWS, Shards, cut_shards, default_rows_per_shard, merge_runs
from jobs.sources.image_ref import ImageRef

MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("offset_bytes", pa.int64()),
        pa.field("row", pa.int64()),
        pa.field("page", pa.int32()),
        pa.field("frame_index", pa.int64()),
        pa.field("time_s", pa.float64()),
        pa.field("shard_id", pa.int64(), nullable=False),
        pa.field("ord", pa.int32(), nullable=False),
    ]
)
"""``ord`` is the row's position in its shard."""

LISTED_FIELDS = tuple(field.name for field in fields(ImageRef))
LISTED_SCHEMA = pa.schema([MANIFEST_SCHEMA.field(name) for name in LISTED_FIELDS])

PART_ROWS = 65_536
"""Rows of a part, about; what is held of a listing at a time is two of them."""
PIECE_ROWS = 4_096
"""Rows that are held as records before they become columns."""
MAX_PART_SHARDS = 1_024
"""Shards of a part, at most: every worker reads the footer of a part that it works on."""

MANIFEST_FOLDER = "manifest"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Consecutive rows of a listing, cut into shards."""

    listing: pa.Table
    """The rows, of LISTED_SCHEMA."""
    shards: Shards
    """Of these rows alone."""
    first_row: int
    """Rows of the parts before it."""
    first_shard: int
    """Shards of the parts before it."""
    is_last: bool


def cut_parts(
    found: Iterable[ImageRef],
    *,
    rows_per_shard: int | None,
    rows_later: int = MAX_ROWS,
    first_row: int = 0,
    first_shard: int = 0,
) -> Iterator[Part]:
    """A listing in parts, as it comes; where shards begin depends on its order alone.

    Args:
        found: the listing, in its order.
        rows_per_shard: rows of a shard in the middle of the run; None chooses by their number.
        rows_later: where None chooses, rows of a shard behind the first part.
        first_row: rows of parts that are stored already.
        first_shard: their shards.

    Yields:
        At least one part, where there is at least one row.

    Cost: holds two parts, some tens of megabytes.
    """
    part_rows = rows_of_part(rows_per_shard or MAX_ROWS)
    tables = read_tables(found, num_rows=part_rows)
    listing = next(tables, None)
    while listing is not None:
        following = next(tables, None)
        is_last = following is None
        rows = rows_per_shard or (rows_later if first_row else None)
        shards = cut_part(len(listing), rows_per_shard=rows, is_first=first_row == 0, is_last=is_last)
        yield Part(listing=listing, shards=shards, first_row=first_row, first_shard=first_shard, is_last=is_last)
        first_row += len(listing)
        first_shard += len(shards)
        listing = following


def cut_part(num_rows: int, *, rows_per_shard: int | None, is_first: bool, is_last: bool) -> Shards:
    """The shards of a part."""
    rows = rows_per_shard or (default_rows_per_shard(num_rows) if is_first and is_last else MAX_ROWS)
    return cut_shards(num_rows, rows_per_shard=rows, is_first=is_first, is_last=is_last)


def expected_shards(num_rows: int, *, rows_per_shard: int | None, rows_later: int = MAX_ROWS) -> Shards:
    """How ``cut_parts`` will cut a listing, told from its length alone."""
    part_rows = rows_of_part(rows_per_shard or MAX_ROWS)
    runs: list[tuple[int, int]] = []
    for first in range(0, num_rows, part_rows):
        left = num_rows - first
        rows = rows_per_shard or (rows_later if first else None)
        part = cut_part(min(part_rows, left), rows_per_shard=rows, is_first=first == 0, is_last=left <= part_rows)
        runs += part.runs
    return Shards(merge_runs(runs))


def rows_of_part(rows_per_shard: int) -> int:
    """Rows of every part but the last: whole shards."""
    return max(1, min(PART_ROWS // rows_per_shard, MAX_PART_SHARDS)) * rows_per_shard


def read_tables(found: Iterable[ImageRef], *, num_rows: int) -> Iterator[pa.Table]:
    """Tables of LISTED_SCHEMA with ``num_rows`` rows each, the last with what is left."""
    iterator = iter(found)
    while pieces := list(read_pieces(islice(iterator, num_rows))):
        yield pa.concat_tables(pieces).combine_chunks()


def read_pieces(found: Iterator[ImageRef]) -> Iterator[pa.Table]:
    """Tables of few rows each: as records of Python's, listed images take several times the memory."""
    while chunk := list(islice(found, PIECE_ROWS)):
        columns = {name: [getattr(entry, name) for entry in chunk] for name in LISTED_FIELDS}
        yield pa.table(columns, schema=LISTED_SCHEMA)


def encode_part(part: Part) -> bytes:
    """The manifest file of a part."""
    sink = BytesIO()
    with pq.ParquetWriter(sink, MANIFEST_SCHEMA, compression="zstd", write_statistics=False) as writer:
        for index in range(len(part.shards)):
            rows = part.shards.rows_of(index)
            listed = part.listing.slice(rows.start, len(rows))
            columns = {
                "row_id": pa.array(range(part.first_row + rows.start, part.first_row + rows.stop), pa.int64()),
                **{name: listed[name] for name in LISTED_FIELDS},
                "shard_id": pa.repeat(pa.scalar(part.first_shard + index, pa.int64()), len(rows)),
                "ord": pa.array(range(len(rows)), pa.int32()),
            }
            writer.write_table(pa.table(columns, schema=MANIFEST_SCHEMA), row_group_size=len(rows))
    return sink.getvalue()


def part_name(number: int) -> str:
    """Path of a part below the run's output."""
    return f"{MANIFEST_FOLDER}/part-{number:06d}.parquet"


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where the rows of a run's shards stand.

    Args:
        output: the run's folder or prefix.
        first_shards: of each part, in order, beginning with 0.
    """

    output: str
    first_shards: tuple[int, ...]

    def read_shard(self, shard_id: int) -> pa.Table:
        """The rows of one shard, in order.

        Raises:
            MissingObjectError: the part is gone.
        """
        number = bisect_right(self.first_shards, shard_id) - 1
        uri = storage.join(self.output, part_name(number))
        metadata = part_metadata(uri)
        with storage.open_for_read(uri) as file:
            return pq.ParquetFile(file, metadata=metadata).read_row_group(shard_id - self.first_shards[number])


@lru_cache(maxsize=4)
def part_metadata(uri: str) -> pq.FileMetaData:
    """A part's footer, read once per process; a part never changes."""
    with storage.open_for_read(uri) as file:
        return pq.read_metadata(file)


def read_refs(rows: pa.Table) -> Iterator[ImageRef]:
    """The images of manifest rows."""
    return (ImageRef(**row) for row in rows.select(LISTED_FIELDS).to_pylist())


def num_bytes_of(listing: pa.Table) -> int:
    """Encoded bytes of all rows."""
    return int(pc.sum(listing["size_bytes"]).as_py() or 0)
