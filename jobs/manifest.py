"""The stored listing: one Parquet file, one row group per shard, so that a worker reads its own rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from io import BytesIO
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from jobs.shards import Shards
from jobs.sources.folder import InputObject

MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("shard_id", pa.int64(), nullable=False),
        pa.field("ord", pa.int32(), nullable=False),
    ]
)
"""``ord`` is the row's position in its shard."""

LISTED_FIELDS = ("image_id", "uri", "size_bytes", "etag")
CHUNK_ROWS = 65_536


def collect_listing(found: Iterable[InputObject]) -> pa.Table:
    """A listing as a compact table of the listed columns, built a chunk at a time."""
    schema = pa.schema([MANIFEST_SCHEMA.field(name) for name in LISTED_FIELDS])
    iterator = iter(found)
    chunks: Iterator[list[InputObject]] = iter(lambda: list(islice(iterator, CHUNK_ROWS)), [])
    batches = [
        pa.RecordBatch.from_pydict(
            {name: [getattr(entry, name) for entry in chunk] for name in LISTED_FIELDS}, schema=schema
        )
        for chunk in chunks
    ]
    return pa.Table.from_batches(batches, schema=schema)


def encode_manifest(listing: pa.Table, shards: Shards) -> bytes:
    """The manifest file of a listing that is cut into shards."""
    sink = BytesIO()
    with pq.ParquetWriter(sink, MANIFEST_SCHEMA, compression="zstd", write_statistics=False) as writer:
        for shard_id in range(len(shards)):
            rows = shards.rows_of(shard_id)
            part = listing.slice(rows.start, len(rows))
            columns = {
                "row_id": pa.array(rows, pa.int64()),
                **{name: part[name] for name in LISTED_FIELDS},
                "shard_id": pa.repeat(pa.scalar(shard_id, pa.int64()), len(rows)),
                "ord": pa.array(range(len(rows)), pa.int32()),
            }
            writer.write_table(pa.table(columns, schema=MANIFEST_SCHEMA), row_group_size=len(rows))
    return sink.getvalue()


def read_shard_rows(manifest_uri: str, shard_id: int) -> pa.Table:
    """The manifest's rows of one shard, in order."""
    metadata = manifest_metadata(manifest_uri)
    with storage.open_for_read(manifest_uri) as file:
        return pq.ParquetFile(file, metadata=metadata).read_row_group(shard_id)


@lru_cache(maxsize=4)
def manifest_metadata(manifest_uri: str) -> pq.FileMetaData:
    """The manifest's footer, read once per process; a manifest never changes."""
    with storage.open_for_read(manifest_uri) as file:
        return pq.read_metadata(file)


def is_manifest(uri: str) -> bool:
    """Whether a file is a manifest, of whatever run."""
    try:
        with storage.open_for_read(uri) as file:
            return bool(pq.read_schema(file).equals(MANIFEST_SCHEMA))
    except pa.ArrowInvalid:
        return False
