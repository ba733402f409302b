from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from inference_core.errors import JobError, StorageError
from jobs import manifest
from jobs.listing import (
    LISTING_FILE,
    Listing,
    ListingFeed,
    read_listing,
    store_listing,
    store_part,
)
from jobs.sources.image_ref import ImageRef


def ref(index: int) -> ImageRef:
    return ImageRef(image_id=f"{index:06d}.jpg", uri=f"s3://b/{index:06d}.jpg", size_bytes=index, etag=f"e{index}")


def behind(entries: Iterator[ImageRef], last: ImageRef, *, num_rows: int) -> Iterator[ImageRef]:
    return (entry for entry in entries if entry.image_id > last.image_id)


def run_listing(output: Path, found: Iterable[ImageRef | None], *, rows_per_shard: int | None = None) -> list[Listing]:
    return list(store_listing(str(output), lambda: found, behind=behind, rows_per_shard=rows_per_shard))


def rows_of(output: Path, listing: Listing) -> list[ImageRef]:
    stored = listing.manifest(str(output))
    return [
        entry for shard_id in range(len(listing.shards)) for entry in manifest.read_refs(stored.read_shard(shard_id))
    ]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "PART_ROWS", 100)
    manifest.part_metadata.cache_clear()


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 300])
def test_a_listing_is_stored_in_parts_and_reads_back(tmp_path: Path, count: int) -> None:
    found = [ref(index) for index in range(count)]
    states = run_listing(tmp_path, found, rows_per_shard=10)
    *_, last = states
    assert [state.is_whole for state in states] == [False] * (len(states) - 1) + [True]
    assert len(states) == len(last.first_shards) == -(-count // 100)
    assert (last.num_rows, last.num_bytes) == (count, sum(range(count)))
    assert rows_of(tmp_path, last) == found
    assert read_listing(str(tmp_path)) == last


def test_entries_that_are_left_out_are_counted(tmp_path: Path) -> None:
    (whole,) = run_listing(tmp_path, [None, ref(0), None, ref(1), None])
    assert (whole.num_rows, whole.num_left_out) == (2, 3)


def test_what_is_stored_is_known_before_the_listing_ends(tmp_path: Path) -> None:
    gate = threading.Event()

    def slow() -> Iterator[ImageRef]:
        yield from map(ref, range(250))
        assert gate.wait(30)
        yield from map(ref, range(250, 330))

    stream = store_listing(str(tmp_path), slow, behind=behind, rows_per_shard=10)
    with ListingFeed(stream) as feed:
        early = feed.wait(num_known=0, patience_s=0.0)
        assert not early.is_whole
        assert rows_of(tmp_path, early) == [ref(index) for index in range(early.num_rows)]
        gate.set()
        whole = feed.wait(num_known=len(early.shards), patience_s=30.0)
    assert whole.is_whole
    assert whole.num_rows == 330


@pytest.mark.parametrize("stopped_behind", [1, 2, 3], ids=str)
def test_a_listing_that_was_stopped_goes_on_behind_what_is_stored(tmp_path: Path, stopped_behind: int) -> None:
    found = [ref(index) for index in range(450)]
    stream = store_listing(str(tmp_path), lambda: found, behind=behind, rows_per_shard=10)
    for _ in range(stopped_behind):
        next(stream)
    stream.close()
    first, *_, whole = run_listing(tmp_path, found, rows_per_shard=10)
    assert first.num_rows >= stopped_behind * 100
    assert rows_of(tmp_path, whole) == found
    (tmp_path / "other").mkdir()
    *_, undisturbed = run_listing(tmp_path / "other", found, rows_per_shard=10)
    assert whole == undisturbed


def test_images_that_came_or_went_before_the_stop_do_not_matter(tmp_path: Path) -> None:
    found = [ref(index) for index in range(0, 600, 2)]
    stream = store_listing(str(tmp_path), lambda: found, behind=behind, rows_per_shard=10)
    next(stream)
    stream.close()
    changed = [ref(1), *found[:50], *found[52:], ref(601)]
    *_, whole = run_listing(tmp_path, changed, rows_per_shard=10)
    assert rows_of(tmp_path, whole) == [*found, ref(601)]


def test_a_part_of_another_listing_is_not_written_over(tmp_path: Path) -> None:
    run_listing(tmp_path, map(ref, range(250)), rows_per_shard=10)
    before = (tmp_path / manifest.part_name(0)).read_bytes()
    other = next(manifest.cut_parts(map(ref, range(1, 250)), rows_per_shard=10))
    with pytest.raises(JobError, match="two commands list the same input while it changes"):
        store_part(str(tmp_path), other, number=0)
    assert (tmp_path / manifest.part_name(0)).read_bytes() == before


def test_an_error_of_the_listing_reaches_who_waits(tmp_path: Path) -> None:
    def broken() -> Iterator[ImageRef]:
        yield from map(ref, range(150))
        raise StorageError("the bucket is gone")

    stream = store_listing(str(tmp_path), broken, behind=behind, rows_per_shard=10)
    with ListingFeed(stream) as feed, pytest.raises(StorageError, match="the bucket is gone"):
        wait_for_whole(feed)


def wait_for_whole(feed: ListingFeed) -> Listing:
    listing = Listing()
    while not listing.is_whole:
        listing = feed.wait(num_known=len(listing.shards), patience_s=0.0)
    return listing


def test_no_listing_and_a_damaged_one(tmp_path: Path) -> None:
    assert read_listing(str(tmp_path)) is None
    (tmp_path / LISTING_FILE).write_text("{")
    with pytest.raises(JobError, match=r"listing\.json must be this run's listing"):
        read_listing(str(tmp_path))
