"""Where earlier answers stand, by the hash of an image's bytes: made by the driver, read by workers.

Two Parquet files in the run's output: ``answers.parquet`` has a row for each answer, sorted by the first eight bytes of
the SHA-256, and ``files.parquet`` one for each file of rows. A worker holds 20 bytes for each answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inference_core import storage
from inference_core.export.native_source import native_bytes
from inference_core.provenance import digest_of
from jobs.reuse.earlier_runs import EarlierFile

INDEX_FOLDER = "reuse"
ANSWERS_FILE, FILES_FILE = "answers.parquet", "files.parquet"
COLUMNS = ("key", "page", "file", "row")
DTYPES: dict[str, Any] = {"key": np.uint64, "page": np.int32, "file": np.int32, "row": np.int32}
FILES_SCHEMA = pa.schema([(name, pa.string()) for name in ("output", "path", "run_id", "engine")])


def store_index(output: str, files: Sequence[EarlierFile]) -> str:
    """Make the index of some files, unless it is there.

    Args:
        output: this run's folder or prefix.
        files: of committed rows; where two hold the same answer, the first counts.

    Returns:
        Where the index is.

    Cost: reads every file once; 40 bytes for each answer are held.
    """
    folder = storage.join(output, INDEX_FOLDER, digest_of([(file.output, file.path) for file in files])[:16])
    if not storage.exists(storage.join(folder, ANSWERS_FILE)):
        listed = pa.Table.from_pylist([asdict(file) for file in files], schema=FILES_SCHEMA)
        storage.create(storage.join(folder, FILES_FILE), encode(listed))
        # Last, since its presence makes the index.
        storage.create(storage.join(folder, ANSWERS_FILE), encode(pa.table(index_columns(files))))
    return folder


def index_columns(files: Sequence[EarlierFile]) -> dict[str, NDArray[Any]]:
    """The index's columns, (N,) each: sorted by key and page, each pair once."""
    parts = [{name: np.empty(0, DTYPES[name]) for name in COLUMNS}, *read_parts(files)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    order = np.lexsort((joined["page"], joined["key"]))  # stable: of equal answers the first stays first
    key, page = joined["key"][order], joined["page"][order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (key[1:] != key[:-1]) | (page[1:] != page[:-1])
    return {name: values[order][is_new] for name, values in joined.items()}


def read_parts(files: Sequence[EarlierFile]) -> Iterator[dict[str, NDArray[Any]]]:
    """The answers of each file; a file that is gone gives none."""
    uris = (storage.join(file.output, *file.path.split("/")) for file in files)
    for number, data in enumerate(storage.read_many(uris)):
        if isinstance(data, bytes):
            table = pq.read_table(native_bytes(data), columns=["status", "sha256", "page"])
            is_answer = pc.and_(pc.equal(table["status"], "ok"), pc.not_equal(table["sha256"], ""))
            rows = np.flatnonzero(is_answer.to_numpy())
            yield {
                "key": keys_of(table["sha256"].take(rows).to_pylist()),
                "page": table["page"].take(rows).to_numpy().astype(np.int32),
                "file": np.full(len(rows), number, np.int32),
                "row": rows.astype(np.int32),
            }


def keys_of(sha256s: Sequence[str]) -> NDArray[np.uint64]:
    """(N,) the first eight bytes of hashes in hex."""
    return np.frombuffer(bytes.fromhex("".join(text[:16] for text in sha256s)), ">u8").astype(np.uint64)


def encode(table: pa.Table) -> bytes:
    """A table as the content of a Parquet file."""
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


class AnswerIndex:
    """The index as a worker holds it.

    Args:
        folder: where ``store_index`` put it.
    """

    def __init__(self, folder: str) -> None:
        table = pq.read_table(native_bytes(storage.read_bytes(storage.join(folder, ANSWERS_FILE))))
        self._key, self._page, self._file, self._row = (table[name].to_numpy() for name in COLUMNS)
        listed = pq.read_table(native_bytes(storage.read_bytes(storage.join(folder, FILES_FILE))))
        self._files = [EarlierFile(**row) for row in listed.to_pylist()]

    def find(self, sha256: str, page: int) -> Iterator[tuple[EarlierFile, int]]:
        """Files and rows that may hold the answer for some bytes: the whole hash is still to be compared."""
        key = keys_of([sha256])[0]
        first, last = np.searchsorted(self._key, key, "left"), np.searchsorted(self._key, key, "right")
        for position in range(int(first), int(last)):
            if self._page[position] == page:
                yield self._files[self._file[position]], int(self._row[position])
