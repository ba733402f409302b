from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_core.errors import MissingObjectError
from jobs import manifest
from jobs.manifest import MANIFEST_SCHEMA, Manifest, cut_parts, encode_part, part_metadata, part_name, read_refs
from jobs.sources.image_ref import ImageRef

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
REFS = st.builds(
    lambda name, size, etag, place, time: ImageRef(
        image_id=name, uri=f"s3://b/{name}", size_bytes=size, etag=etag, time_s=time, **{place[0]: place[1]}
    ),
    NAMES,
    st.integers(0, 2**40),
    st.text("0123456789abcdef-", max_size=40),
    st.tuples(st.sampled_from(["offset_bytes", "row", "page", "frame_index"]), st.none() | st.integers(0, 2**31 - 1)),
    st.none() | st.floats(0, 1e6),
)


def store(folder: Path, found: list[ImageRef], *, rows_per_shard: int | None) -> Manifest:
    part_metadata.cache_clear()  # a part never changes, but here it does
    first_shards = []
    for number, part in enumerate(cut_parts(found, rows_per_shard=rows_per_shard)):
        path = folder / part_name(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_part(part))
        assert pq.ParquetFile(path).metadata.num_row_groups == len(part.shards)
        first_shards.append(part.first_shard)
    return Manifest(str(folder), tuple(first_shards))


@given(st.lists(REFS, min_size=1, max_size=60), st.integers(1, 20), st.integers(1, 40))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_shard_reads_back_its_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: list[ImageRef], rows_per_shard: int, part_rows: int
) -> None:
    monkeypatch.setattr(manifest, "PART_ROWS", part_rows)
    stored = store(tmp_path, found, rows_per_shard=rows_per_shard)
    parts = list(cut_parts(found, rows_per_shard=rows_per_shard))
    assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
    num_shards = sum(len(part.shards) for part in parts)
    next_row = 0
    for shard_id in range(num_shards):
        rows = stored.read_shard(shard_id)
        assert rows.schema.equals(MANIFEST_SCHEMA)
        assert rows["row_id"].to_pylist() == list(range(next_row, next_row + rows.num_rows))
        assert rows["ord"].to_pylist() == list(range(rows.num_rows))
        assert set(rows["shard_id"].to_pylist()) == {shard_id}
        assert rows.num_rows <= rows_per_shard
        assert list(read_refs(rows)) == found[next_row : next_row + rows.num_rows]
        next_row += rows.num_rows
    assert next_row == len(found)


def plain_refs(count: int) -> list[ImageRef]:
    return [ImageRef(image_id=str(i), uri=f"file:///{i}", size_bytes=i, etag="") for i in range(count)]


def test_a_listing_of_nothing_has_no_part() -> None:
    assert list(cut_parts([], rows_per_shard=None)) == []


def test_the_same_listing_gives_the_same_bytes() -> None:
    (one,), (other,) = (cut_parts(plain_refs(100), rows_per_shard=7) for _ in range(2))
    assert encode_part(one) == encode_part(other)


def test_a_long_listing_begins_and_ends_with_small_shards() -> None:
    parts = list(cut_parts(plain_refs(150_000), rows_per_shard=None))
    assert [len(part.listing) for part in parts] == [65_536, 65_536, 150_000 - 2 * 65_536]
    assert parts[0].shards.runs[0] == (8, 16)
    assert parts[1].shards.runs == ((512, 128),)
    assert parts[2].shards.runs[-1] == (16, 32)


def test_later_parts_have_fewer_and_larger_shards_where_pixels_are_few() -> None:
    plain, grown = (list(cut_parts(plain_refs(180_000), rows_per_shard=None, rows_later=rows)) for rows in (128, 1_024))
    assert grown[0].shards == plain[0].shards
    assert grown[1].shards.runs == ((64, 1_024),)
    assert grown[2].shards.runs[-1] == (16, 256)
    assert sum(part.shards.num_rows for part in grown) == 180_000
    asked = list(cut_parts(plain_refs(180_000), rows_per_shard=100, rows_later=1_024))
    assert {rows for part in asked for _, rows in part.shards.runs[:1]} <= {12, 100}


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match=r"part-000000\.parquet"):
        Manifest(str(tmp_path), (0,)).read_shard(0)
