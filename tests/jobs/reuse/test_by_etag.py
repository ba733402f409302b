"""Images that lie unchanged where an earlier run found them: their answers are taken over, and nothing is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference_core import storage
from inference_core.models.package import ModelPackage
from jobs.config import JobConfig
from jobs.listing import LISTING_FILE
from jobs.reuse.etag_index import NO_PLACE, place_of
from jobs.reuse.known_answers import read_rows as read_earlier_rows
from jobs.sources.image_ref import ImageRef
from tests.drawn_images import png_bytes, write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards
from tests.jobs.reuse_job import finish, run_with_reuse
from tests.s3_loopback import S3Server

Row = dict[str, Any]
MakeNamed = Callable[..., JobConfig]
NEW = ["0000.png", "new/a.png"]
"""One whose content is another, one that was not there."""


@pytest.fixture(autouse=True)
def _forget_files() -> None:
    read_earlier_rows.cache_clear()


@pytest.fixture(params=["classifier", "segmenter"])
def package(request: pytest.FixtureRequest) -> ModelPackage:
    found: ModelPackage = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def prefix(s3_bucket: str, images: Path) -> str:
    """Prefix on the server with ``images`` below ``in``."""
    prefix = f"{s3_bucket}/{uuid4().hex}"
    for path in images.rglob("*"):
        if path.is_file():
            storage.replace(f"{prefix}/in/{path.relative_to(images).as_posix()}", path.read_bytes())
    return prefix


@pytest.fixture
def job(make_job: MakeJob, package: ModelPackage, prefix: str) -> MakeNamed:
    """Settings of a job of the package over the prefix, by the name of its output."""

    def make(name: str, **changes: Any) -> JobConfig:
        changes = {"execution__rows_per_shard": 4, "execution__reuse_by": "etag", **changes}
        return make_job(model=package.uri, input=f"{prefix}/in", output=f"{prefix}/{name}", **changes)

    return make


def run_fresh(config: JobConfig, package: ModelPackage) -> list[Row]:
    run_shards(config, package, plan_job(config, package))
    return read_rows(config.output)


def reads_of(server: S3Server, prefix: str) -> list[str]:
    """Images that were read, as often as they were."""
    place = f"/{prefix.removeprefix('s3://')}/in/"
    return sorted(one.path.removeprefix(place) for one in server.requests("GET") if one.path.startswith(place))


def without_origin(rows: list[Row]) -> list[Row]:
    return [{key: value for key, value in row.items() if key != "reused_from"} for row in rows]


def failed_ids(rows: list[Row]) -> list[str]:
    return [row["image_id"] for row in rows if row["status"] != "ok"]


def test_only_what_changed_is_read(job: MakeNamed, package: ModelPackage, prefix: str, s3_server: S3Server) -> None:
    first = job("first")
    bad = failed_ids(run_fresh(first, package))
    for index, name in enumerate(NEW):
        storage.replace(f"{prefix}/in/{name}", png_bytes(100 + index))
    expected = run_fresh(job("fresh"), package)
    second = job("second", reuse=first.output)
    s3_server.forget()
    run_with_reuse(second, package)
    assert reads_of(s3_server, prefix) == sorted([*NEW, *bad])
    rows = read_rows(second.output)
    assert without_origin(rows) == without_origin(expected)
    assert [row["image_id"] for row in rows if row["status"] == "ok" and row["reused_from"] is None] == NEW
    assert finish(second, package).facts.num_reused == len(rows) - len(NEW) - len(bad)

    # Of a run that read nothing of an image, the answer counts all the same.
    third = job("third", reuse=second.output)
    s3_server.forget()
    run_with_reuse(third, package)
    assert reads_of(s3_server, prefix) == sorted(bad)
    assert without_origin(read_rows(third.output)) == without_origin(expected)


def test_unless_asked_for_each_image_is_read(
    job: MakeNamed, package: ModelPackage, prefix: str, s3_server: S3Server
) -> None:
    first = job("first")
    num_rows = len(run_fresh(first, package))
    second = job("second", reuse=first.output, execution__reuse_by="sha256")
    s3_server.forget()
    run_with_reuse(second, package)
    assert len(reads_of(s3_server, prefix)) == num_rows


def test_bytes_that_moved_are_read_and_known(
    job: MakeNamed, package: ModelPackage, prefix: str, s3_server: S3Server
) -> None:
    first = job("first")
    bad = failed_ids(run_fresh(first, package))
    storage.replace(f"{prefix}/in/zz.png", png_bytes(0))
    second = job("second", reuse=first.output)
    s3_server.forget()
    run_with_reuse(second, package)
    assert reads_of(s3_server, prefix) == sorted(["zz.png", *bad])
    (moved,) = [row for row in read_rows(second.output) if row["image_id"] == "zz.png"]
    assert moved["reused_from"] is not None


def test_an_answer_or_a_listing_that_is_gone_costs_a_reading(
    job: MakeNamed, package: ModelPackage, prefix: str, s3_server: S3Server
) -> None:
    first = job("first")
    expected = run_fresh(first, package)
    storage.delete_many([f"{first.output}/{LISTING_FILE}"])
    without_listing = job("without-listing", reuse=first.output)
    s3_server.forget()
    run_with_reuse(without_listing, package)
    assert len(reads_of(s3_server, prefix)) == len(expected)
    assert without_origin(read_rows(without_listing.output)) == without_origin(expected)

    second = job("second", reuse=without_listing.output)
    plan_job(second, package)
    run_with_reuse(second, package, shard_ids=[])  # the index is there
    storage.delete_many(found.uri for found in storage.list_objects(f"{without_listing.output}/data"))
    read_earlier_rows.cache_clear()
    run_with_reuse(second, package)
    assert without_origin(read_rows(second.output)) == without_origin(expected)


def test_files_of_this_machine_count_by_time_and_size(
    make_job: MakeJob, classifier: ModelPackage, images: Path, tmp_path: Path
) -> None:
    first = make_job(output=str(tmp_path / "first"))
    run_shards(first, classifier, plan_job(first, classifier))
    write(images / "0000.png", png_bytes(0))  # the same bytes, written again
    changed = images / "0001.png"
    before = changed.stat()
    changed.write_bytes(bytes(before.st_size))
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = make_job(output=str(tmp_path / "second"), reuse=first.output, execution__reuse_by="etag")
    run_with_reuse(second, classifier)
    rows = {row["image_id"]: row for row in read_rows(second.output)}
    assert rows["0000.png"]["reused_from"] is not None  # read, and known by its bytes
    assert rows["0001.png"]["status"] == "ok"  # what the documentation warns of


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_parts_of_a_file_have_places_of_their_own(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, kind: str
) -> None:
    import tarfile

    path = tmp_path / f"all.{kind}"
    if kind == "tar":
        for index in range(6):
            write(tmp_path / f"members/{index}.png", png_bytes(index))
        with tarfile.open(path, "w") as archive:
            archive.add(tmp_path / "members", "members")
    else:
        pq.write_table(pa.table({"image": [png_bytes(index) for index in range(6)]}), path)
    first = make_job(input=str(path), output=str(tmp_path / "first"))
    expected = run_fresh(first, classifier)
    second = make_job(input=str(path), output=str(tmp_path / "second"), reuse=first.output, execution__reuse_by="etag")
    run_with_reuse(second, classifier)
    rows = read_rows(second.output)
    assert without_origin(rows) == without_origin(expected)
    assert all(row["reused_from"] for row in rows)


REF = ImageRef(image_id="a", uri="s3://b/a", size_bytes=3, etag="1f")


@pytest.mark.parametrize(
    "change",
    [{"uri": "s3://b/c"}, {"etag": "2f"}, {"size_bytes": 4}, {"offset_bytes": 0}, {"row": 0}, {"page": 0}],
    ids=str,
)
def test_a_place_is_all_that_tells_bytes_apart(change: dict[str, Any]) -> None:
    assert place_of(replace(REF, **change)) != place_of(REF)


def test_a_name_is_no_part_of_a_place_and_without_etag_there_is_none() -> None:
    assert place_of(replace(REF, image_id="b")) == place_of(REF)
    assert place_of(replace(REF, etag="")) == NO_PLACE
    assert place_of(replace(REF, uri="file:///\udcff")).dtype == np.uint64
