from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference_core.errors import MissingObjectError
from jobs.manifest import (
    LISTED_FIELDS,
    MANIFEST_SCHEMA,
    collect_listing,
    encode_manifest,
    manifest_metadata,
    read_shard_rows,
)
from jobs.shards import cut_shards
from jobs.sources.folder import InputObject

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
OBJECTS = st.builds(
    lambda name, size, etag: InputObject(image_id=name, uri=f"s3://b/{name}", size_bytes=size, etag=etag),
    NAMES,
    st.integers(0, 2**40),
    st.text("0123456789abcdef-", max_size=40),
)


@given(st.lists(OBJECTS, min_size=1, max_size=60), st.integers(1, 20))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_shard_reads_back_its_own_rows(tmp_path: Path, found: list[InputObject], rows_per_shard: int) -> None:
    shards = cut_shards(len(found), rows_per_shard=rows_per_shard)
    path = tmp_path / "manifest.parquet"
    path.write_bytes(encode_manifest(collect_listing(found), shards))
    manifest_metadata.cache_clear()  # a manifest never changes, but here it does

    assert pq.ParquetFile(path).metadata.num_row_groups == len(shards)
    for shard_id in range(len(shards)):
        rows = read_shard_rows(str(path), shard_id)
        row_ids = shards.rows_of(shard_id)
        assert rows.schema.equals(MANIFEST_SCHEMA)
        assert rows["row_id"].to_pylist() == list(row_ids)
        assert rows["ord"].to_pylist() == list(range(len(row_ids)))
        assert set(rows["shard_id"].to_pylist()) == {shard_id}
        expected = [[getattr(found[row], name) for name in LISTED_FIELDS] for row in row_ids]
        assert [[row[name] for name in LISTED_FIELDS] for row in rows.to_pylist()] == expected


def test_a_listing_of_several_chunks_keeps_its_order() -> None:
    found = [InputObject(image_id=str(i), uri=f"file:///{i}", size_bytes=i, etag="") for i in range(70_000)]
    assert collect_listing(iter(found))["size_bytes"].to_pylist() == list(range(70_000))


def test_a_listing_of_nothing_has_the_columns_all_the_same() -> None:
    listing = collect_listing([])
    assert listing.num_rows == 0
    assert tuple(listing.schema.names) == LISTED_FIELDS


def test_the_same_listing_gives_the_same_bytes() -> None:
    found = [InputObject(image_id=str(i), uri=f"file:///{i}", size_bytes=i, etag="") for i in range(100)]
    shards = cut_shards(100, rows_per_shard=7)
    assert encode_manifest(collect_listing(found), shards) == encode_manifest(collect_listing(found), shards)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingObjectError, match=r"gone\.parquet"):
        read_shard_rows(str(tmp_path / "gone.parquet"), 0)
