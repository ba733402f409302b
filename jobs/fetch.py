"""Read the images that a manifest names: whole objects, members of tar files, cells of Parquet, frames of videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby, repeat

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import FetchError, InputError, MillraceError, TooLargeError
from inference_core.preparer import PrepareSource
from jobs.sources.image_ref import ImageRef
from jobs.sources.table_rows import find_bytes_column
from jobs.sources.video_frames import read_frames

CONCURRENCY = 32
"""Reads in flight per process; local files that are fast to read need none."""
PARQUET_BATCH_ROWS = 16
"""Cells that are held at a time."""


def fetch_images(
    refs: Sequence[ImageRef], *, max_bytes: int, bytes_column: str | None = None, concurrency: int = CONCURRENCY
) -> Iterator[PrepareSource]:
    """The bytes or pixels of each image, or the error of reading it, in order.

    Args:
        refs: of one shard.
        max_bytes: largest image.
        bytes_column: of Parquet files that hold images; None for the first usual one.
        concurrency: reads in flight.
    """
    return chain.from_iterable(
        read_run(list(run), max_bytes=max_bytes, bytes_column=bytes_column, concurrency=concurrency)
        for _, run in groupby(refs, key=container_of)
    )


def container_of(ref: ImageRef) -> tuple[str, str]:
    """What images have in common that are read in one go: the container, or that they are objects of their own."""
    if ref.offset_bytes is not None:
        return "tar", ref.uri
    if ref.row is not None:
        return "parquet", ref.uri
    if ref.frame_index is not None:
        return "video", ref.uri
    return ("pages", ref.uri) if ref.page is not None else ("objects", "")


def read_run(
    refs: Sequence[ImageRef], *, max_bytes: int, bytes_column: str | None, concurrency: int
) -> Iterator[PrepareSource]:
    """Neighbouring images of one container."""
    kind, uri = container_of(refs[0])
    if kind == "objects":
        return storage.read_many((ref.uri for ref in refs), concurrency=concurrency, max_bytes=max_bytes)
    if kind == "pages":
        (data,) = storage.read_many([uri], max_bytes=max_bytes)
        return repeat(data, len(refs))
    if kind == "tar":
        return fill_up(read_members(uri, refs, max_bytes=max_bytes), refs)
    if kind == "parquet":
        return fill_up(read_cells(uri, refs, column=bytes_column, max_bytes=max_bytes), refs)
    return fill_up(read_frames(uri, refs), refs)


def fill_up(found: Iterator[PrepareSource], refs: Sequence[ImageRef]) -> Iterator[PrepareSource]:
    """One outcome for each image: where reading the container breaks off, the others get its error."""
    num_found = 0
    error: InputError | None = None
    try:
        for source in found:
            yield source
            num_found += 1
    except (MillraceError, OSError, ValueError, pa.ArrowException) as exc:
        reason = " ".join(str(exc).split()) or type(exc).__name__
        error = FetchError(f"the file that holds the image must be readable, got {reason}", uri=refs[0].uri)
    for ref in refs[num_found:]:
        yield error or FetchError(
            f"the file must be as it was listed, but ends before {ref.image_id}; list it again", uri=ref.uri
        )


def read_members(uri: str, refs: Sequence[ImageRef], *, max_bytes: int) -> Iterator[PrepareSource]:
    """Members of a tar file by their place."""
    with storage.open_for_read(uri) as file:
        for ref in refs:
            if ref.size_bytes > max_bytes:
                yield over_limit(ref, size_bytes=ref.size_bytes, max_bytes=max_bytes)
                continue
            file.seek(ref.offset_bytes or 0)
            data = file.read(ref.size_bytes)
            yield (
                data
                if len(data) == ref.size_bytes
                else FetchError(
                    f"the member must have {ref.size_bytes} bytes, got {len(data)}: the file was cut off or changed",
                    uri=uri,
                )
            )


def read_cells(uri: str, refs: Sequence[ImageRef], *, column: str | None, max_bytes: int) -> Iterator[PrepareSource]:
    """Cells of a Parquet file; only row groups that hold one of them are read."""
    with storage.open_for_read(uri) as file:
        parquet = pq.ParquetFile(file)
        name = column or find_bytes_column(parquet.schema_arrow)
        wanted = {ref.row: ref for ref in refs}
        first = 0
        for group in range(parquet.num_row_groups):
            rows = range(first, first + parquet.metadata.row_group(group).num_rows)
            first = rows.stop
            if any(row in rows for row in wanted):
                yield from cells_of_group(parquet, group, rows, wanted, column=str(name), max_bytes=max_bytes)


def cells_of_group(
    parquet: pq.ParquetFile,
    group: int,
    rows: range,
    wanted: dict[int | None, ImageRef],
    *,
    column: str,
    max_bytes: int,
) -> Iterator[PrepareSource]:
    """The wanted cells of a row group."""
    row = rows.start
    for batch in parquet.iter_batches(batch_size=PARQUET_BATCH_ROWS, row_groups=[group], columns=[column]):
        for cell in batch.column(0):
            ref = wanted.get(row)
            row += 1
            if ref is not None:
                yield cell_source(cell.as_py(), ref, max_bytes=max_bytes)


def cell_source(value: bytes | dict[str, bytes] | None, ref: ImageRef, *, max_bytes: int) -> PrepareSource:
    """The image in a cell."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None:
        return FetchError("the cell must hold an image, got null", uri=ref.uri)
    return data if len(data) <= max_bytes else over_limit(ref, size_bytes=len(data), max_bytes=max_bytes)


def over_limit(ref: ImageRef, *, size_bytes: int, max_bytes: int) -> TooLargeError:
    """The error of an image over the limit."""
    return TooLargeError(f"image must be at most {max_bytes} bytes, got {size_bytes}", uri=ref.uri)
