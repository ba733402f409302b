"""Answers of earlier runs, and of equal images, in runs as workers do them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from inference_core.runner import Runner
from inference_core.stats.summary import equal_but_timings
from jobs.commits import CommitLog
from jobs.config import JobConfig
from jobs.reuse.known_answers import read_rows as read_earlier_rows
from jobs.stages import CommitShards, InferShards, PrepareShards
from tests.drawn_images import png_bytes, write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards, shard_table, worker_settings
from tests.jobs.reuse_job import Notes, finish, run_with_reuse

Row = dict[str, Any]


@pytest.fixture(autouse=True)
def _forget_files() -> None:
    read_earlier_rows.cache_clear()


@pytest.fixture
def inferred(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the images that went through the model, as it is told."""
    seen: list[str] = []
    original = Runner.infer

    def infer(self: Runner, items: Any) -> Any:
        seen.extend(item.source.image_id for item in items if item.prepared is not None)
        return original(self, items)

    monkeypatch.setattr(Runner, "infer", infer)
    return seen


@pytest.fixture(params=["classifier", "segmenter"])
def package(request: pytest.FixtureRequest) -> ModelPackage:
    found: ModelPackage = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def job(make_job: MakeJob, package: ModelPackage, tmp_path: Path) -> Callable[..., JobConfig]:
    """Settings of a job of the package, by the name of its output."""

    def make(name: str, **changes: Any) -> JobConfig:
        changes = {"execution__rows_per_shard": 4, **changes}
        return make_job(model=package.uri, output=str(tmp_path / name), **changes)

    return make


def change_folder(images: Path) -> None:
    """Two images that are new, one changed, one gone, one under another name."""
    write(images / "new/a.png", png_bytes(100))
    write(images / "new/b.png", png_bytes(101))
    write(images / "0001.png", png_bytes(102))
    (images / "0002.png").unlink()
    (images / "0003.png").rename(images / "moved.png")


NEW_OR_CHANGED = ["0001.png", "new/a.png", "new/b.png"]
KEPT = ["0000.png", "0005.png", "0006.png", "deep/er/0004.png", "moved.png"]


def masks_below(config: JobConfig) -> dict[str, bytes]:
    root = Path(config.output.removeprefix("file://"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in (root / "masks").rglob("*.png")}


def without_origin(rows: list[Row]) -> list[Row]:
    return [{key: value for key, value in row.items() if key != "reused_from"} for row in rows]


def test_over_a_changed_folder_only_new_bytes_are_inferred(
    job: Callable[..., JobConfig], package: ModelPackage, images: Path, inferred: list[str]
) -> None:
    first = job("first")
    run_shards(first, package, plan_job(first, package))
    change_folder(images)
    fresh = job("fresh")
    run_shards(fresh, package, plan_job(fresh, package))
    inferred.clear()

    second = job("second", reuse=first.output)
    run_with_reuse(second, package)
    assert sorted(inferred) == NEW_OR_CHANGED
    rows = read_rows(second.output)
    assert without_origin(rows) == without_origin(read_rows(fresh.output))
    assert masks_below(second) == masks_below(fresh)
    run_id = plan_job(first, package).run_id
    assert {row["image_id"]: row["reused_from"] for row in rows if row["status"] == "ok"} == {
        **dict.fromkeys(KEPT, run_id),
        **dict.fromkeys(NEW_OR_CHANGED),
    }
    outcome, expected = finish(second, package), finish(fresh, package)
    assert (outcome.facts.num_reused, outcome.facts.num_duplicates) == (5, 0)
    assert outcome.facts.is_balanced
    assert outcome.facts.taken_over_text == "reused 5 of 11"
    assert equal_but_timings(outcome.summary, expected.summary)
    assert outcome.facts.engine == expected.facts.engine


def test_times_of_an_answer_that_is_taken_over_are_zero_but_for_the_reading(
    job: Callable[..., JobConfig], package: ModelPackage
) -> None:
    first = job("first")
    run_shards(first, package, plan_job(first, package))
    second = job("second", reuse=first.output)
    run_with_reuse(second, package)
    for record in CommitLog(second.output).read_many([0, 1, 2]):
        table = pq.read_table(f"{second.output.removeprefix('file://')}/{record.data.path}")
        for row in table.to_pylist():
            if row["reused_from"]:
                assert row["fetch_ms"] > 0
                assert (row["prepare_ms"], row["infer_ms"], row["finish_ms"]) == (0, 0, 0)


def test_bad_images_are_tried_again(
    job: Callable[..., JobConfig], package: ModelPackage, images: Path, inferred: list[str]
) -> None:
    first = job("first")
    run_shards(first, package, plan_job(first, package))
    second = job("second", reuse=first.output)
    run_with_reuse(second, package)
    bad = [row for row in read_rows(second.output) if row["status"] != "ok"]
    assert len(bad) == 3
    assert {row["reused_from"] for row in bad} == {None}
    errors = [error for record in CommitLog(second.output).read_many([0, 1, 2]) for error in record.errors]
    assert sorted(error.image_id for error in errors) == [row["image_id"] for row in bad]


@pytest.mark.parametrize(
    ("now", "note"),
    [
        ({"model": "other"}, "its model digest is "),
        ({"results__masks": "none"}, "its results is {masks: png}, this run's is {masks: none}"),
        ({"execution__precision": "fp32"}, "its precision is auto, this run's is fp32"),
        ({"execution__engine": "openvino"}, "its engine is default, this run's is openvino"),
        ({"limits__max_pixels": 9}, "its limits.max_pixels is 100000000, this run's is 9, lower"),
    ],
    ids=["model", "masks", "precision", "engine", "limits"],
)
def test_a_run_that_would_answer_otherwise_gives_nothing(
    make_job: MakeJob,
    classifier: ModelPackage,
    other_classifier: ModelPackage,
    tmp_path: Path,
    now: dict[str, Any],
    note: str,
) -> None:
    first = make_job(output=str(tmp_path / "first"))
    run_shards(first, classifier, plan_job(first, classifier))
    own = other_classifier if now.pop("model", "") else classifier
    second = make_job(output=str(tmp_path / "second"), model=own.uri, reuse=first.output, **now)
    notes = Notes()
    run_with_reuse(second, own, notes=notes)
    assert {row["reused_from"] for row in read_rows(second.output)} == {None}
    (said,) = notes.said
    assert said.startswith(f"reuse: nothing of {first.output} is taken over: {note}")


@pytest.mark.parametrize("now", [{"limits__max_pixels": 200_000_000}, {"execution__batch_size": 3}], ids=str)
def test_what_cannot_change_an_answer_does_not_matter(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, now: dict[str, Any]
) -> None:
    first = make_job(output=str(tmp_path / "first"))
    run_shards(first, classifier, plan_job(first, classifier))
    second = make_job(output=str(tmp_path / "second"), reuse=first.output, **now)
    run_with_reuse(second, classifier)
    assert CommitLog(second.output).read(0).num_reused == 7


def test_of_an_unfinished_run_only_what_is_committed_counts(
    job: Callable[..., JobConfig], package: ModelPackage, tmp_path: Path
) -> None:
    first = job("first")
    run_shards(first, package, plan_job(first, package), [1])
    committed = {row["sha256"] for row in read_rows(first.output) if row["status"] == "ok"}
    (record,) = CommitLog(first.output).read_many([1])
    part = tmp_path / "first" / record.data.path
    shutil.copy(part, part.with_name("part-000000-killed.parquet"))
    second = job("second", reuse=first.output)
    run_with_reuse(second, package)
    assert {row["sha256"] for row in read_rows(second.output) if row["reused_from"]} == committed


def test_a_resumed_run_takes_over_too_and_each_row_is_there_once(
    job: Callable[..., JobConfig], package: ModelPackage, images: Path
) -> None:
    first = job("first")
    run_shards(first, package, plan_job(first, package))
    change_folder(images)
    whole = job("whole", reuse=first.output)
    run_with_reuse(whole, package)
    broken = job("broken", reuse=first.output)
    run_with_reuse(broken, package, shard_ids=[1])
    run_with_reuse(job("broken"), package, shard_ids=[0])  # without the option: no other run for that
    run_with_reuse(broken, package)
    rows = read_rows(broken.output)
    assert without_origin(rows) == without_origin(read_rows(whole.output))
    assert [row["row_id"] for row in rows] == list(range(11))
    assert {row["reused_from"] for row in rows if row["row_id"] < 4} == {None}
    assert len([row for row in rows if row["reused_from"]]) == finish(broken, package).facts.num_reused > 0


def test_a_run_that_reused_is_reused_and_the_first_run_is_named(
    job: Callable[..., JobConfig], package: ModelPackage, images: Path
) -> None:
    first = job("first")
    run_shards(first, package, plan_job(first, package))
    change_folder(images)
    second = job("second", reuse=first.output)
    run_with_reuse(second, package)
    shutil.rmtree(first.output.removeprefix("file://"))
    third = job("third", reuse=second.output)
    run_with_reuse(third, package)
    ids = {row["image_id"]: row["reused_from"] for row in read_rows(third.output) if row["status"] == "ok"}
    before = {row["image_id"]: row["reused_from"] for row in read_rows(second.output) if row["status"] == "ok"}
    own = plan_job(second, package).run_id
    assert ids == {image_id: run_id or own for image_id, run_id in before.items()}
    assert masks_below(third) == masks_below(second)


def test_two_runs_are_reused_the_first_named_first(
    job: Callable[..., JobConfig], package: ModelPackage, images: Path
) -> None:
    outputs = [job("first"), job("second")]
    for number, config in enumerate(outputs):
        run_shards(config, package, plan_job(config, package))
        write(images / f"later-{number}.png", png_bytes(200 + number))
    third = job("third", reuse=[config.output for config in outputs])
    run_with_reuse(third, package)
    run_ids = [plan_job(config, package).run_id for config in outputs]
    origins = {row["image_id"]: row["reused_from"] for row in read_rows(third.output) if row["status"] == "ok"}
    assert origins.pop("later-0.png") == run_ids[1]
    assert origins.pop("later-1.png") is None
    assert set(origins.values()) == {run_ids[0]}


@pytest.mark.parametrize("lost", ["data", "masks"])
def test_what_is_gone_is_inferred(
    job: Callable[..., JobConfig], package: ModelPackage, tmp_path: Path, inferred: list[str], lost: str
) -> None:
    first = job("first")
    run_shards(first, package, plan_job(first, package))
    before, expected = inferred.copy(), read_rows(first.output)
    inferred.clear()
    shutil.rmtree(tmp_path / "first" / lost, ignore_errors=True)
    second = job("second", reuse=first.output)
    run_with_reuse(second, package)
    needs_it = lost == "data" or package.spec.task == "segmentation"
    assert inferred == (before if needs_it else [])
    assert without_origin(read_rows(second.output)) == without_origin(expected)
    assert masks_below(second).keys() == {f"masks/{name}.png" for name in before if package.spec.task == "segmentation"}


@pytest.mark.parametrize(
    ("reuse", "message"),
    [
        ("absent", r"^reuse: must name the output of a run, got .*/absent without plan\.json; check the path$"),
        ("second", r"^reuse: must name other runs, got .*/second, which is this one; remove it$"),
    ],
)
def test_what_is_no_other_run_is_refused(
    job: Callable[..., JobConfig], package: ModelPackage, tmp_path: Path, reuse: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_with_reuse(job("second", reuse=str(tmp_path / reuse)), package)


# Pages


def test_pages_of_a_file_are_told_apart(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    pages = [Image.open(io.BytesIO(png_bytes(index))) for index in range(3)]
    folder.mkdir()
    pages[0].save(folder / "a.tiff", save_all=True, append_images=pages[1:])
    shutil.copy(folder / "a.tiff", folder / "b.tiff")
    first = make_job(input=str(folder), output=str(tmp_path / "first"), source__pages="all")
    run_shards(first, classifier, plan_job(first, classifier))
    assert CommitLog(first.output).read(0).num_duplicates == 3
    second = make_job(input=str(folder), output=str(tmp_path / "second"), source__pages="all", reuse=first.output)
    run_with_reuse(second, classifier)
    rows = read_rows(second.output)
    assert without_origin(rows) == without_origin(read_rows(first.output))
    assert [row["label"] for row in rows] == ["red", "green", "blue"] * 2
    assert CommitLog(second.output).read(0).num_reused == 6


# Duplicates inside a run


@pytest.fixture
def doubles(images: Path) -> Path:
    """Three copies of one image and two of another, beside the others; and two copies of a bad one."""
    for name in ("0000 copy.png", "0000 copy 2.png"):
        shutil.copy(images / "0000.png", images / name)
    shutil.copy(images / "0001.png", images / "deep/copy.png")
    shutil.copy(images / "no image.txt", images / "no image 2.txt")
    return images


@pytest.mark.parametrize("layout", ["whole", "split"])
@pytest.mark.usefixtures("doubles")
def test_equal_images_of_a_shard_are_inferred_once(
    job: Callable[..., JobConfig], package: ModelPackage, inferred: list[str], layout: str
) -> None:
    each = job("each", execution__rows_per_shard=32, execution__duplicates="each")
    run_shards(each, package, plan_job(each, package))
    assert len(inferred) == 10
    inferred.clear()
    once = job("once", execution__rows_per_shard=32)
    if layout == "whole":
        run_shards(once, package, plan_job(once, package))
    else:
        settings = worker_settings(once, package, plan_job(once, package))
        CommitShards(settings)(InferShards(settings)(PrepareShards(settings)(shard_table([0]))))
    assert len(inferred) == 7
    assert read_rows(once.output) == read_rows(each.output)
    assert masks_below(once) == masks_below(each)
    facts = finish(once, package).facts
    assert (facts.num_planned, facts.num_ok, facts.num_failed) == (14, 10, 4)
    assert (facts.num_reused, facts.num_duplicates) == (0, 3)
    assert facts.taken_over_text == "3 duplicates inferred once"
    assert finish(each, package).facts.taken_over_text == ""


@pytest.mark.usefixtures("doubles")
def test_which_duplicates_are_found_depends_on_the_shards_alone(
    job: Callable[..., JobConfig], package: ModelPackage
) -> None:
    counts, rows = [], []
    for name, order in (("a", range(7)), ("b", reversed(range(7)))):
        config = job(name, execution__rows_per_shard=2)
        run_shards(config, package, plan_job(config, package), order)
        counts.append([record.num_duplicates for record in CommitLog(config.output).read_many(range(7))])
        rows.append(read_rows(config.output))
    assert counts[0] == counts[1]
    assert rows[0] == rows[1]


@pytest.mark.usefixtures("doubles")
def test_both_are_counted_apart(job: Callable[..., JobConfig], package: ModelPackage, images: Path) -> None:
    first = job("first", execution__rows_per_shard=32)
    run_shards(first, package, plan_job(first, package))
    for name in ("x.png", "y.png"):
        write(images / name, png_bytes(300))
    second = job("second", execution__rows_per_shard=32, reuse=first.output)
    run_with_reuse(second, package)
    facts = finish(second, package).facts
    assert facts.taken_over_text == "reused 10 of 16; 1 duplicate inferred once"
    assert (facts.num_ok, facts.num_failed, facts.is_balanced) == (12, 4, True)


def test_an_equal_image_fails_as_the_first_did(
    make_job: MakeJob, classifier: ModelPackage, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(images / "0000.png", images / "0000 copy.png")
    monkeypatch.setattr(Runner, "forward", lambda self, batch: refuse(batch))
    config = make_job()
    run_shards(config, classifier, plan_job(config, classifier))
    rows = {row["image_id"]: row for row in read_rows(config.output)}
    assert rows["0000 copy.png"]["status"] == rows["0000.png"]["status"] == "infer_error"
    record = CommitLog(config.output).read(0)
    assert record.num_duplicates == 0, "nothing was saved that counts"
    assert {error.image_id for error in record.errors} == set(rows)


def refuse(batch: np.ndarray) -> Any:
    from inference_core.errors import EngineError

    raise EngineError("not this one")
