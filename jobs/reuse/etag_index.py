"""The bytes of listed images, told from their place and etag: an image that is as it was need not be read again.

``etags.parquet`` beside the index of answers has a row for each image that an earlier run read and answered, sorted by
a hash of where its bytes lie and of the etag that they had when they were listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inference_core import storage
from inference_core.export.native_source import native_bytes
from jobs.listing import read_listing, read_stored
from jobs.reuse.earlier_runs import EarlierFile
from jobs.sources.image_ref import ImageRef

ETAGS_FILE = "etags.parquet"
NO_PLACE = np.uint64(0)
"""Of an image whose storage has no etags."""
SCHEMA = pa.schema(
    [("place", pa.uint64()), ("sha256", pa.binary(32)), ("page", pa.int32()), ("size_bytes", pa.int64())]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBytes:
    """What an earlier run found where an image lies."""

    sha256: str
    page: int
    size_bytes: int


def store_etags(folder: str, files: Sequence[EarlierFile]) -> None:
    """Make the index of places beside that of answers, unless it is there.

    Args:
        folder: of the index of answers.
        files: of committed rows; where two hold the same place, the first counts.

    Cost: reads every file and every listing once; holds 52 bytes for each row.
    """
    uri = storage.join(folder, ETAGS_FILE)
    if not storage.exists(uri):
        tables = [
            table
            for output, of_run in groupby(files, key=lambda file: file.output)
            for table in read_places(output, list(of_run))
        ]
        joined = pa.concat_tables([SCHEMA.empty_table(), *tables])
        place = joined["place"].to_numpy()
        order = np.argsort(place, kind="stable")
        is_first = np.ones(len(order), bool)
        is_first[1:] = place[order][1:] != place[order][:-1]
        sink = BytesIO()
        pq.write_table(joined.take(order[is_first]), sink, compression="zstd")
        storage.create(uri, sink.getvalue())


def read_places(output: str, files: Sequence[EarlierFile]) -> Iterator[pa.Table]:
    """The rows of one run's files that have an answer and a place, of SCHEMA; none of a listing that never ended."""
    listing = read_listing(output)
    if listing is None:
        return
    places = np.fromiter((place_of(ref) for ref in read_stored(output, listing)), np.uint64, listing.num_rows)
    uris = (storage.join(file.output, *file.path.split("/")) for file in files)
    for data in storage.read_many(uris):
        if isinstance(data, bytes):
            columns = ["row_id", "status", "sha256", "page", "size_bytes"]
            yield answered(pq.read_table(native_bytes(data), columns=columns), places)


def answered(rows: pa.Table, places: NDArray[np.uint64]) -> pa.Table:
    """Rows of a run as rows of the index.

    Args:
        rows: of one file.
        places: (N,) of all rows of the run, by row id.
    """
    own = places[rows["row_id"].to_numpy()]
    has_answer = np.array([status == "ok" for status in rows["status"].to_pylist()], bool)
    has_bytes = np.array([sha256 != "" for sha256 in rows["sha256"].to_pylist()], bool)
    chosen = np.flatnonzero(has_answer & has_bytes & (own != NO_PLACE))
    kept = rows.take(chosen)
    hashes = [bytes.fromhex(sha256) for sha256 in kept["sha256"].to_pylist()]
    columns = [own[chosen], pa.array(hashes, pa.binary(32)), kept["page"], kept["size_bytes"]]
    return pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)


def place_of(ref: ImageRef) -> np.uint64:
    """A hash of where the bytes of an image lie, and of the etag and the size that they have there."""
    if not ref.etag:
        return NO_PLACE
    facts = (ref.uri, ref.etag, ref.size_bytes, ref.offset_bytes, ref.row, ref.page, ref.frame_index)
    return np.uint64(int.from_bytes(hashlib.sha256(repr(facts).encode(errors="surrogatepass")).digest()[:8], "big"))


class EtagIndex:
    """The index as a worker holds it.

    Args:
        folder: where ``store_etags`` put it.
    """

    def __init__(self, folder: str) -> None:
        self._rows = pq.read_table(native_bytes(storage.read_bytes(storage.join(folder, ETAGS_FILE))))
        self._place = self._rows["place"].to_numpy()

    def find(self, ref: ImageRef) -> KnownBytes | None:
        """What was found where an image lies; None where nothing was, or where it has changed since."""
        place = place_of(ref)
        position = int(np.searchsorted(self._place, place))
        if place == NO_PLACE or position == len(self._place) or self._place[position] != place:
            return None
        row = self._rows.slice(position, 1).to_pylist()[0]
        return KnownBytes(sha256=row["sha256"].hex(), page=row["page"], size_bytes=row["size_bytes"])
