"""Rows of a committed shard with the pixels that they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from inference_core import storage
from inference_core.errors import InputError, StorageError
from inference_core.images import load_image
from inference_core.preparer import PrepareSource
from inference_core.records import Uint8Array
from jobs.fetch import fetch_images
from jobs.finished_run import read_rows
from jobs.manifest import Manifest, read_refs
from jobs.sources.image_ref import ImageRef
from jobs.visuals.request import VisualRequest

KILLER = "crashed"
"""Status of images that end or hang the process that touches them: they are left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowImage:
    """One row and its image."""

    row: dict[str, Any]
    pixels: Uint8Array | None
    """(H, W, 3) uint8, None where there are none to be had."""
    note: str = ""
    """Why there are none."""


def read_row_images(
    data: bytes, ords: Sequence[int], *, manifest: Manifest, shard_id: int, request: VisualRequest
) -> Iterator[RowImage]:
    """Some rows of a shard with their images, one at a time.

    Args:
        data: the shard's file of rows.
        ords: places of the rows in the shard, rising.
        manifest: of the run.
        shard_id: the shard.
        request: how images are read.
    """
    rows = read_rows(data).take(pa.array(list(ords), pa.int64())).to_pylist()
    listed = list(read_refs(manifest.read_shard(shard_id)))
    wanted = [(row, listed[ord_]) for row, ord_ in zip(rows, ords, strict=True)]
    sources = fetch_wanted([ref for row, ref in wanted if row["status"] != KILLER], request=request)
    for row, ref in wanted:
        if row["status"] == KILLER:
            yield RowImage(
                row=row, pixels=None, note="not touched again: it ended or hung the process that worked on it"
            )
        else:
            yield decode_row(row, ref, next(sources), request=request)


def fetch_wanted(refs: Sequence[ImageRef], *, request: VisualRequest) -> Iterator[PrepareSource]:
    """The bytes or pixels of images; of a video each frame alone, since those between would be decoded, too."""
    max_bytes = request.limits.max_bytes
    if not any(ref.frame_index is not None for ref in refs):
        yield from fetch_images(refs, max_bytes=max_bytes, bytes_column=request.bytes_column)
        return
    for ref in refs:
        yield from fetch_images([ref], max_bytes=max_bytes, bytes_column=request.bytes_column)


def decode_row(row: dict[str, Any], ref: ImageRef, source: PrepareSource, *, request: VisualRequest) -> RowImage:
    """A row with its pixels, as the run saw them."""
    if isinstance(source, InputError | StorageError):
        return RowImage(row=row, pixels=None, note=f"cannot be read: {source}")
    policy = request.policy if ref.page is None else replace(request.policy, page=ref.page)
    try:
        pixels = load_image(source, policy=policy, limits=request.limits, uri=storage.mask_secrets(ref.uri)).pixels
    except InputError as exc:
        return RowImage(row=row, pixels=None, note=f"cannot be decoded: {exc}")
    if row["status"] == "ok" and pixels.shape[:2] != (row["height"], row["width"]):
        return RowImage(row=row, pixels=pixels, note="the file was changed since: it has another size")
    return RowImage(row=row, pixels=pixels)
