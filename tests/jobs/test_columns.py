from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.items import PreparedItem, RawItem, RawPart, StageMs
from inference_core.models.package import load_package
from inference_core.pipeline import build_finisher, build_preparer, build_runner
from inference_core.predictor import Predictor
from inference_core.records import Placement, Prepared, SourceFacts
from inference_core.status import STATUSES
from jobs.columns import (
    ITEM_SCHEMA,
    PACKED_SCHEMA,
    Keys,
    decode_prepared,
    decode_raw,
    encode_prepared,
    encode_raw,
    pack_shards,
    unpack_shards,
    workers_of,
)
from jobs.worker_facts import WorkerFacts
from tests.asset_packages import write_package
from tests.view_nets import view_package

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SIZES = st.integers(1, 6)
HW = st.tuples(SIZES, SIZES)
TIMES = st.builds(StageMs, **dict.fromkeys(("fetch", "prepare", "infer", "finish"), st.floats(0, 1e6)))
SOURCES = st.builds(
    SourceFacts,
    image_id=TEXTS,
    uri=TEXTS,
    size_bytes=st.integers(0, 2**40),
    sha256=TEXTS,
    format=TEXTS,
    decoder=TEXTS,
    orientation=st.integers(1, 8),
    image_hw=HW,
)
FAILURES = [status for status in STATUSES if status != "ok"]
ARRAYS = st.one_of(
    hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
    for dtype in (np.uint8, np.int32, np.float32, np.float64, np.bool_)
)


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    hw, num_tiles = draw(HW), draw(st.integers(1, 3))
    return Placement(
        image_hw=draw(HW),
        scaled_hw=draw(HW),
        canvas_hw=draw(HW),
        offset_yx=draw(st.tuples(st.integers(-5, 5), st.integers(-5, 5))),
        tile_hw=hw,
        tile_origins_yx=tuple((index, 0) for index in range(num_tiles)),
    )


@st.composite
def prepared_tiles(draw: st.DrawFn) -> Prepared:
    placement = draw(placements())
    shape = (placement.num_tiles, *placement.tile_hw, draw(st.sampled_from([1, 3])))
    return Prepared(tiles=draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 255))), placement=placement)


@st.composite
def prepared_items(draw: st.DrawFn) -> PreparedItem:
    facts: dict[str, Any] = {"source": draw(SOURCES), "stage_ms": draw(TIMES)}
    if draw(st.booleans()):
        return PreparedItem(**facts, status=draw(st.sampled_from(FAILURES)), error=draw(TEXTS))
    prepared, *others = draw(st.lists(prepared_tiles(), min_size=1, max_size=3))
    return PreparedItem(**facts, prepared=prepared, others=tuple(others))


@st.composite
def raw_items(draw: st.DrawFn) -> RawItem:
    facts: dict[str, Any] = {"source": draw(SOURCES), "stage_ms": draw(TIMES), "engine": draw(TEXTS)}
    if draw(st.booleans()):
        return RawItem(**facts, status=draw(st.sampled_from(FAILURES)), error=draw(TEXTS))
    arrays = st.dictionaries(TEXTS, ARRAYS, max_size=3)
    others = draw(st.lists(st.builds(RawPart, placement=placements(), raw=arrays), max_size=2))
    return RawItem(**facts, placement=draw(placements()), raw=draw(arrays), others=tuple(others))


def keys_for(count: int) -> list[Keys]:
    return [Keys(shard_id=index // 3, row_id=100 + index) for index in range(count)]


def assert_same_array(actual: np.ndarray, expected: np.ndarray) -> None:
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    assert actual.tobytes() == np.ascontiguousarray(expected).tobytes()


def assert_same_facts(actual: PreparedItem | RawItem, expected: PreparedItem | RawItem) -> None:
    for name in ("source", "status", "error", "stage_ms"):
        assert getattr(actual, name) == getattr(expected, name)


@given(st.lists(prepared_items(), max_size=5))
@settings(max_examples=60, deadline=None)
def test_prepared_items_survive(items: list[PreparedItem]) -> None:
    keys = keys_for(len(items))
    table = encode_prepared(keys, items)
    assert table.schema.equals(ITEM_SCHEMA)
    decoded_keys, decoded = decode_prepared(table)
    assert decoded_keys == keys
    for actual, expected in zip(decoded, items, strict=True):
        assert_same_facts(actual, expected)
        for block, other in zip(actual.blocks, expected.blocks, strict=True):
            assert block.placement == other.placement
            assert_same_array(block.tiles, other.tiles)


@given(st.lists(raw_items(), max_size=5))
@settings(max_examples=60, deadline=None)
def test_raw_items_survive(items: list[RawItem]) -> None:
    keys = keys_for(len(items))
    decoded_keys, decoded = decode_raw(encode_raw(keys, items))
    assert decoded_keys == keys
    for actual, expected in zip(decoded, items, strict=True):
        assert_same_facts(actual, expected)
        assert actual.engine == expected.engine
        for part, other in zip(actual.parts, expected.parts, strict=True):
            assert part.placement == other.placement
            assert list(part.raw) == list(other.raw)
            for name, array in other.raw.items():
                assert_same_array(part.raw[name], array)


def test_an_ensemble_whose_members_see_other_sizes_answers_alike_stage_by_stage(tmp_path: Path) -> None:
    """Through the columns, as in the split layout."""
    for index, fit in enumerate(({"fit": "native", "multiple_px": 8}, {"fit": "letterbox", "size_hw": [24, 32]})):
        view_package(tmp_path / f"net{index}", "shade", input=fit)
    members = [{"package": "../net0"}, {"package": "../net1", "weight": 2.0}]
    facts = {"name": "both", "task": "segmentation", "format": "ensemble", "ensemble": {"members": members}}
    package = load_package(str(write_package(tmp_path / "both", facts)))
    images = [*np.random.default_rng(0).integers(0, 256, (3, 20, 40, 3), dtype=np.uint8), b"none"]
    preparer, finisher = build_preparer(package), build_finisher(package)
    runner = build_runner(package, device="cpu", num_threads=1, batch_size=2)
    items = [preparer.prepare(image, image_id=str(index)) for index, image in enumerate(images)]
    assert [len(item.blocks) for item in items] == [2, 2, 2, 0]
    _, prepared = decode_prepared(encode_prepared(keys_for(4), items))
    _, raw = decode_raw(encode_raw(keys_for(4), runner.infer(prepared)))
    found = [finisher.finish(item) for item in raw]
    expected = Predictor.load(package, device="cpu", num_threads=1, batch_size=2).predict_batch(images)
    assert [one.status for one in found] == [one.status for one in expected] == ["ok", "ok", "ok", "unsupported"]
    for one, other in zip(found[:3], expected[:3], strict=True):
        assert_same_array(one.result.mask, other.result.mask)  # type: ignore[union-attr]
        assert_same_array(one.result.scores, other.result.scores)  # type: ignore[union-attr]
    assert raw[0].num_bytes == 24 * 40 + 24 * 32  # a byte for each pixel of each input


def prepared_item(tiles: np.ndarray, image_id: str = "a") -> PreparedItem:
    origins = tuple((0, 0) for _ in range(tiles.shape[0]))
    hw = (tiles.shape[1], tiles.shape[2])
    placement = Placement(
        image_hw=hw, scaled_hw=hw, canvas_hw=hw, offset_yx=(0, 0), tile_hw=hw, tile_origins_yx=origins
    )
    return PreparedItem(source=SourceFacts(image_id=image_id), prepared=Prepared(tiles=tiles, placement=placement))


def test_nothing_is_a_table_of_no_rows() -> None:
    assert decode_prepared(encode_prepared([], [])) == ([], [])
    assert decode_raw(encode_raw([], [])) == ([], [])


def test_nobody_can_write_into_decoded_arrays() -> None:
    _, (item,) = decode_prepared(encode_prepared(keys_for(1), [prepared_item(np.ones((1, 2, 2, 3), np.uint8))]))
    assert item.prepared is not None
    assert not item.prepared.tiles.flags.writeable


def test_decoded_arrays_are_views_of_the_table() -> None:
    table = encode_prepared(keys_for(1), [prepared_item(np.ones((1, 2, 2, 3), np.uint8))])
    _, (item,) = decode_prepared(table)
    assert item.prepared is not None
    buffer = table["payload"].chunk(0).buffers()[2]
    assert buffer.address <= item.prepared.tiles.ctypes.data < buffer.address + buffer.size


def test_arrays_that_are_not_contiguous_survive() -> None:
    base = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    turned = base[:, ::-1, ::2, :]
    _, (item,) = decode_prepared(encode_prepared(keys_for(1), [prepared_item(turned)]))
    assert item.prepared is not None
    np.testing.assert_array_equal(item.prepared.tiles, turned)


def test_encoding_changes_nothing_of_its_input() -> None:
    tiles = np.full((1, 2, 2, 3), 7, np.uint8)
    tiles.flags.writeable = False
    encode_prepared(keys_for(1), [prepared_item(tiles)])
    assert (tiles == 7).all()


@pytest.mark.parametrize("slice_of", [slice(0, 2), slice(1, 3), slice(2, 3)], ids=str)
def test_a_part_of_a_table_decodes_as_that_part(slice_of: slice) -> None:
    items = [prepared_item(np.full((1, 1, 2, 3), index, np.uint8), str(index)) for index in range(3)]
    table = encode_prepared(keys_for(3), items)
    part = table.slice(slice_of.start, slice_of.stop - slice_of.start)
    _, decoded = decode_prepared(part)
    assert [item.source.image_id for item in decoded] == [str(i) for i in range(3)][slice_of]
    assert [int(item.prepared.tiles[0, 0, 0, 0]) for item in decoded if item.prepared] == list(range(3))[slice_of]


def test_tables_of_different_sizes_of_image_concatenate() -> None:
    tables = [
        encode_prepared(keys_for(1), [prepared_item(np.full((tiles, side, side, 3), side, np.uint8), str(side))])
        for tiles, side in ((1, 1), (2, 5), (1, 3))
    ]
    _, decoded = decode_prepared(pa.concat_tables(tables))
    assert [item.prepared.tiles.shape for item in decoded if item.prepared] == [
        (1, 1, 1, 3),
        (2, 5, 5, 3),
        (1, 3, 3, 3),
    ]


@given(st.lists(raw_items(), max_size=7), st.lists(st.integers(0, 3), min_size=7, max_size=7))
@settings(max_examples=40, deadline=None)
def test_packed_shards_unpack_to_their_items(items: list[RawItem], steps: list[int]) -> None:
    shard_ids = np.cumsum(steps).tolist()
    keys = [
        Keys(shard_id=shard_id, row_id=index) for index, (shard_id, _) in enumerate(zip(shard_ids, items, strict=False))
    ]
    table = encode_raw(keys, items)
    packed = pack_shards(table)
    assert packed.schema.equals(PACKED_SCHEMA)
    assert packed["shard_id"].to_pylist() == sorted({key.shard_id for key in keys})
    assert unpack_shards(packed).equals(table)
    # Ray cuts and joins tables of packed shards as it likes.
    parts = [packed.slice(index, 1) for index in range(packed.num_rows)]
    assert unpack_shards(pa.concat_tables([packed.schema.empty_table(), *parts])).combine_chunks().equals(table)
    assert workers_of(packed) == [()] * packed.num_rows
    told = [(WorkerFacts(pool="prepare", peak_bytes=index),) for index in range(packed.num_rows)]
    again = pack_shards(table, workers=told)
    assert workers_of(pa.concat_tables([again.slice(index, 1) for index in range(again.num_rows)] or [again])) == told
