from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ConfigError, JobError
from inference_core.models.package import ModelPackage
from jobs.changed_input import Change, compare_input, merge_listings
from jobs.config import JobConfig
from jobs.listing import LISTING_FILE
from jobs.sources.image_ref import ImageRef
from jobs.sources.inputs import Inputs
from tests.drawn_images import write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job


def changes(config: JobConfig) -> list[tuple[str, str]]:
    return [(change.kind, change.image_id) for change in compare_input(config.output)]


def test_an_input_that_stayed_as_it_was(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    plan_job(config, classifier)
    assert changes(config) == []


def test_what_came_went_and_changed_is_told_in_order(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(execution__rows_per_shard=2)
    plan_job(config, classifier)
    first, second, *_, last = sorted(path for path in images.rglob("*") if path.is_file())
    write(images / "0-new.jpg", b"new")
    write(images / "zz" / "new.jpg", b"new")
    first.unlink()
    write(second, b"other bytes")
    os.utime(last, ns=(1, 1))
    found = list(compare_input(config.output))
    told = sorted((change.kind, change.image_id) for change in found)
    named = [path.relative_to(images).as_posix() for path in (first, second, last)]
    assert told == sorted(
        [
            ("added", "0-new.jpg"),
            ("added", "zz/new.jpg"),
            ("removed", named[0]),
            *(("changed", one) for one in named[1:]),
        ]
    )
    assert [change.uri for change in found] == sorted(change.uri for change in found)
    what = {change.image_id: change.what for change in found}
    assert "bytes before, 11 now" in what[named[1]]
    assert what[named[2]] == "another etag"


def test_what_the_globs_leave_out_is_no_change(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(include='["*.jpg"]')
    plan_job(config, classifier)
    write(images / "new.txt", b"")
    assert changes(config) == []


def test_rows_of_a_table_are_matched_by_their_ids(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    write_csv(table, {"a": "/x/a.jpg", "b": "/x/b.jpg", "c": "/x/c.jpg"})
    config = make_job(input=str(table))
    plan_job(config, classifier)
    assert changes(config) == []
    write_csv(table, {"d": "/x/d.jpg", "c": "/x/c.jpg", "b": "/y/b.jpg"})
    assert sorted(changes(config)) == [("added", "d"), ("changed", "b"), ("removed", "a")]


def write_csv(path: Path, uri_of: dict[str, str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("image_id", "uri"), *uri_of.items()])


def test_a_run_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must hold a run"):
        list(compare_input(str(tmp_path)))


def test_a_listing_that_was_interrupted_is_refused(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job()
    plan_job(config, classifier)
    (tmp_path / "out" / LISTING_FILE).unlink()
    with pytest.raises(JobError, match="must be listed to its end"):
        list(compare_input(config.output))


OBJECTS = st.dictionaries(st.text("ab/.", min_size=1, max_size=4), st.integers(0, 2), max_size=12)


@given(before=OBJECTS, now=OBJECTS)
def test_a_merge_finds_what_sets_find(before: dict[str, int], now: dict[str, int]) -> None:
    inputs = Inputs(["s3://b/in"], include=["*"], exclude=[], output="s3://b/out")
    found = set(merge_listings(iter(refs(before)), iter(refs(now)), inputs=inputs))
    assert {(one.kind, one.image_id) for one in found} == {
        *(("added", name) for name in now.keys() - before.keys()),
        *(("removed", name) for name in before.keys() - now.keys()),
        *(("changed", name) for name in now.keys() & before.keys() if now[name] != before[name]),
    }
    assert all(isinstance(one, Change) for one in found)


def refs(etag_of: dict[str, int]) -> list[ImageRef]:
    names: Any = sorted(etag_of, key=str.encode)
    return [ImageRef(image_id=name, uri=f"s3://b/in/{name}", size_bytes=1, etag=str(etag_of[name])) for name in names]
