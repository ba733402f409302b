"""Items of the core as Arrow columns and back: what travels between the stages of the split layout.

Everything small of an item is JSON in ``meta``; its arrays lie one behind the other in ``payload`` and are read back
without a copy. One shape of table serves all tasks and sizes of image, so blocks of a run always concatenate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter

from inference_core.items import PreparedItem, RawItem, RawPart, StageMs
from inference_core.records import Placement, Prepared, SourceFacts
from inference_core.status import Status
from jobs.worker_facts import WorkerFacts, read_facts, write_facts

ITEM_SCHEMA = pa.schema(
    [
        pa.field("shard_id", pa.int64(), nullable=False),
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("meta", pa.string(), nullable=False),
        pa.field("payload", pa.large_binary(), nullable=False),
    ]
)
PACKED_SCHEMA = pa.schema(
    [
        pa.field("shard_id", pa.int64(), nullable=False),
        pa.field("row_id", pa.large_list(ITEM_SCHEMA.field("row_id")), nullable=False),
        pa.field("meta", pa.large_list(ITEM_SCHEMA.field("meta")), nullable=False),
        pa.field("payload", pa.large_list(ITEM_SCHEMA.field("payload")), nullable=False),
        pa.field("workers", pa.string(), nullable=False),
    ]
)
"""Items of whole shards, one row for each shard: however Ray forms batches of rows, it never cuts a shard. ``workers``
is what those who worked on it tell of themselves, as JSON."""
SHARD_SCHEMA = pa.schema([pa.field("shard_id", pa.int64(), nullable=False)])
RECEIPT_SCHEMA = pa.schema(
    [
        pa.field("shard_id", pa.int64(), nullable=False),
        pa.field("num_rows", pa.int64(), nullable=False),
        pa.field("num_ok", pa.int64(), nullable=False),
        pa.field("is_winner", pa.bool_(), nullable=False),
    ]
)
"""What the driver hears of a committed shard; the truth is in the commit log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayLayout:
    """Where an array lies in a payload."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartLayout:
    """One input of an image, or what came of it."""

    placement: Placement
    arrays: tuple[ArrayLayout, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemMeta:
    """Everything of an item but its arrays."""

    source: SourceFacts
    status: Status
    error: str
    stage_ms: StageMs
    engine: str
    parts: tuple[PartLayout, ...]
    """The item's inputs, or what members gave; none where there is nothing."""


META = TypeAdapter(ItemMeta)

Part = tuple[Placement, Mapping[str, NDArray[Any]]]
"""Where one input of an image lies in it, and arrays by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Which row of which shard an item is."""

    shard_id: int
    row_id: int


def encode_prepared(keys: Sequence[Keys], items: Sequence[PreparedItem]) -> pa.Table:
    """Prepared items as a table of ITEM_SCHEMA."""
    encoded = [
        encode_item(item, [(block.placement, {"tiles": block.tiles}) for block in item.blocks]) for item in items
    ]
    return item_table(keys, encoded)


def encode_raw(keys: Sequence[Keys], items: Sequence[RawItem]) -> pa.Table:
    """Raw items as a table of ITEM_SCHEMA."""
    return item_table(keys, [encode_item(item, [(part.placement, part.raw) for part in item.parts]) for item in items])


def decode_prepared(table: pa.Table) -> tuple[list[Keys], list[PreparedItem]]:
    """The items of a table; their arrays are views of it, read-only."""
    items = []
    for meta, parts in decode_items(table):
        blocks = [Prepared(tiles=arrays["tiles"], placement=placement) for placement, arrays in parts]
        items.append(
            PreparedItem(
                source=meta.source,
                prepared=blocks[0] if blocks else None,
                others=tuple(blocks[1:]),
                status=meta.status,
                error=meta.error,
                stage_ms=meta.stage_ms,
            )
        )
    return keys_of(table), items


def decode_raw(table: pa.Table) -> tuple[list[Keys], list[RawItem]]:
    """The items of a table; their arrays are views of it, read-only."""
    items = []
    for meta, parts in decode_items(table):
        placement, raw = parts[0] if parts else (None, None)
        items.append(
            RawItem(
                source=meta.source,
                placement=placement,
                raw=raw,
                others=tuple(RawPart(placement=other, raw=arrays) for other, arrays in parts[1:]),
                engine=meta.engine,
                status=meta.status,
                error=meta.error,
                stage_ms=meta.stage_ms,
            )
        )
    return keys_of(table), items


def encode_item(item: PreparedItem | RawItem, parts: Sequence[Part]) -> tuple[str, bytes]:
    """One item as its meta and its payload."""
    meta = ItemMeta(
        source=item.source,
        status=item.status,
        error=item.error,
        stage_ms=item.stage_ms,
        engine=item.engine if isinstance(item, RawItem) else "",
        parts=tuple(PartLayout(placement=placement, arrays=layout_of(arrays)) for placement, arrays in parts),
    )
    payload = b"".join(np.ascontiguousarray(array).data for _, arrays in parts for array in arrays.values())
    return META.dump_json(meta).decode(), payload


def layout_of(arrays: Mapping[str, NDArray[Any]]) -> tuple[ArrayLayout, ...]:
    """How arrays lie behind each other."""
    return tuple(ArrayLayout(name=name, dtype=array.dtype.str, shape=array.shape) for name, array in arrays.items())


def item_table(keys: Sequence[Keys], encoded: Sequence[tuple[str, bytes]]) -> pa.Table:
    """Encoded items as a table."""
    columns = {
        "shard_id": pa.array([key.shard_id for key in keys], pa.int64()),
        "row_id": pa.array([key.row_id for key in keys], pa.int64()),
        "meta": pa.array([meta for meta, _ in encoded], pa.string()),
        "payload": pa.array([payload for _, payload in encoded], pa.large_binary()),
    }
    return pa.table(columns, schema=ITEM_SCHEMA)


def pack_shards(items: pa.Table, *, workers: Sequence[Sequence[WorkerFacts]] | None = None) -> pa.Table:
    """Items, those of a shard next to each other, as a table of PACKED_SCHEMA. Payloads are not copied.

    Args:
        items: of ITEM_SCHEMA.
        workers: who worked on each shard so far; None where nobody tells.
    """
    shard_ids = items["shard_id"].to_numpy()
    starts = np.flatnonzero(np.diff(shard_ids, prepend=-1))  # (shards,)
    offsets = pa.array([*starts.tolist(), items.num_rows], pa.int64())
    nested = {
        name: pa.LargeListArray.from_arrays(offsets, items[name].combine_chunks(), type=PACKED_SCHEMA.field(name).type)
        for name in ("row_id", "meta", "payload")
    }
    told = pa.array([write_facts(facts) for facts in workers or [()] * len(starts)], pa.string())
    return pa.table({"shard_id": pa.array(shard_ids[starts]), **nested, "workers": told}, schema=PACKED_SCHEMA)


def unpack_shards(packed: pa.Table) -> pa.Table:
    """The items of ``pack_shards``, as a table of ITEM_SCHEMA. Payloads are not copied."""
    counts = pc.list_value_length(packed["row_id"]).to_numpy()
    flat = {name: pc.list_flatten(packed[name]) for name in ("row_id", "meta", "payload")}
    return pa.table({"shard_id": np.repeat(packed["shard_id"].to_numpy(), counts), **flat}, schema=ITEM_SCHEMA)


def workers_of(packed: pa.Table) -> list[tuple[WorkerFacts, ...]]:
    """Who worked on each shard of ``pack_shards``."""
    return [read_facts(text) for text in packed["workers"].to_pylist()]


def keys_of(table: pa.Table) -> list[Keys]:
    """The keys of a table's rows."""
    pairs = zip(table["shard_id"].to_pylist(), table["row_id"].to_pylist(), strict=True)
    return [Keys(shard_id=shard_id, row_id=row_id) for shard_id, row_id in pairs]


def decode_items(table: pa.Table) -> list[tuple[ItemMeta, list[Part]]]:
    """Meta and arrays of each row."""
    metas = [META.validate_json(text) for text in table["meta"].to_pylist()]
    cells = [cell for chunk in table["payload"].chunks for cell in binary_cells(chunk)]
    return [(meta, split_payload(cell, meta.parts)) for meta, cell in zip(metas, cells, strict=True)]


def binary_cells(chunk: pa.LargeBinaryArray) -> list[NDArray[np.uint8]]:
    """The cells as views of the column's own memory; taking them out as scalars would copy each."""
    _, offsets_buffer, data_buffer = chunk.buffers()
    if len(chunk) == 0 or data_buffer is None:
        return [np.empty(0, np.uint8)] * len(chunk)
    offsets = np.frombuffer(offsets_buffer, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
    data = np.frombuffer(data_buffer, np.uint8)
    data.flags.writeable = False
    return [data[begin:end] for begin, end in pairwise(offsets.tolist())]


def split_payload(cell: NDArray[np.uint8], parts: Sequence[PartLayout]) -> list[Part]:
    """The arrays of one payload, as views."""
    found: list[Part] = []
    offset = 0
    for part in parts:
        arrays = {}
        for entry in part.arrays:
            dtype = np.dtype(entry.dtype)
            num_bytes = int(np.prod(entry.shape, dtype=np.int64)) * dtype.itemsize
            arrays[entry.name] = cell[offset : offset + num_bytes].view(dtype).reshape(entry.shape)
            offset += num_bytes
        found.append((part.placement, arrays))
    return found
