from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference_core import storage
from inference_core.errors import ConfigError, JobError
from inference_core.models.package import ModelPackage
from jobs.manifest import part_name
from jobs.plan import (
    PLAN_FILE,
    Plan,
    check_output_is_free,
    find_plan,
    load_plan,
    make_plan,
    read_plan,
    shorten,
)
from tests.drawn_images import draw_folder, write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import list_job, plan_job


def test_a_free_output_has_no_plan(make_job: MakeJob, classifier: ModelPackage) -> None:
    assert find_plan(make_job(), classifier) is None


def test_a_listing_holds_every_file_once(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = make_plan(config, classifier)
    listing = list_job(config)
    manifest = listing.manifest(config.output)
    rows = [row for shard_id in range(len(listing.shards)) for row in manifest.read_shard(shard_id).to_pylist()]
    files = sorted(path.relative_to(images).as_posix() for path in images.rglob("*") if path.is_file())
    assert [row["image_id"] for row in rows] == files
    assert [row["row_id"] for row in rows] == list(range(10))
    assert listing.num_rows == 10
    assert listing.shards.runs == ((2, 4), (1, 2))
    assert listing.num_bytes == sum((images / name).stat().st_size for name in files)
    assert (plan.model_name, plan.task, plan.classes) == (
        "tiny-classification",
        "classification",
        ("red", "green", "blue"),
    )


def test_files_that_are_left_out_are_counted(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(include="['*.png']")
    make_plan(config, classifier)
    listing = list_job(config)
    assert (listing.num_rows, listing.num_left_out) == (8, 2)


def test_the_same_command_finds_its_plan(make_job: MakeJob, classifier: ModelPackage) -> None:
    made = make_plan(make_job(), classifier)
    assert find_plan(make_job(), classifier) == made
    assert make_plan(make_job(), classifier) == made


def test_a_found_plan_does_not_list_the_input_again(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    made = make_plan(make_job(), classifier)
    write(images / "new.png", b"")
    assert find_plan(make_job(), classifier) == made


@pytest.mark.parametrize(
    "changes",
    [{"execution__actors": 3}, {"execution__layout": "split"}, {"execution__num_cpus": 2}, {"max_error_frac": 1}],
    ids=str,
)
def test_another_machine_cuts_the_same_shards(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, changes: dict[str, Any]
) -> None:
    first, second = make_job(), make_job(output=str(tmp_path / "other"), **changes)
    for config in (first, second):
        plan_job(config, classifier)
    assert list_job(second) == list_job(first)
    one, other = (storage.read_bytes(storage.join(config.output, part_name(0))) for config in (first, second))
    assert one == other


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"limits__max_pixels": 7}, r"limits\.max_pixels: the run has 100000000, this command has 7"),
        ({"results__masks": "none"}, r"results\.masks: the run has png, this command has none"),
        ({"include": "['*.png']"}, r"include: the run has \['\*'\], this command has \['\*\.png'\]"),
        ({"execution__batch_size": 2}, r"execution\.batch_size: the run has null, this command has 2"),
        ({"execution__precision": "fp32"}, r"execution\.precision: the run has auto, this command has fp32"),
    ],
    ids=str,
)
def test_a_changed_setting_is_refused_with_its_old_and_new_value(
    make_job: MakeJob, classifier: ModelPackage, changes: dict[str, Any], expected: str
) -> None:
    make_plan(make_job(), classifier)
    with pytest.raises(ConfigError, match=expected) as caught:
        find_plan(make_job(**changes), classifier)
    assert "belongs to another run" in str(caught.value)
    assert "choose another output" in str(caught.value)
    assert caught.value.exit_code == 2


def test_every_changed_setting_is_named(make_job: MakeJob, classifier: ModelPackage) -> None:
    make_plan(make_job(), classifier)
    with pytest.raises(ConfigError) as caught:
        find_plan(make_job(results__masks="none", limits__max_bytes=9), classifier)
    assert "results.masks" in str(caught.value)
    assert "limits.max_bytes" in str(caught.value)


def test_another_model_is_refused(make_job: MakeJob, classifier: ModelPackage, other_classifier: ModelPackage) -> None:
    make_plan(make_job(), classifier)
    expected = f"model_digest: the run has {classifier.digest}, this command has {other_classifier.digest}"
    with pytest.raises(ConfigError, match=expected):
        find_plan(make_job(), other_classifier)


def test_the_same_model_elsewhere_is_the_same_run(make_job: MakeJob, classifier: ModelPackage) -> None:
    made = make_plan(make_job(), classifier)
    assert find_plan(make_job(model="/somewhere/else"), classifier) == made


@pytest.mark.parametrize(
    "name",
    ["photo.jpg", "data/part-000000-abcd.parquet", "_commits/000000.json", ".hidden", "sub/manifest.parquet"],
)
def test_an_occupied_output_is_refused(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, name: str) -> None:
    write(tmp_path / "out" / name, b"something")
    with pytest.raises(ConfigError, match=f"output: must be empty or hold this run, got .* with {name}; choose"):
        find_plan(make_job(), classifier)
    assert (tmp_path / "out" / name).read_bytes() == b"something"


def test_an_output_that_is_an_input_is_refused(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    with pytest.raises(ConfigError, match="must be empty or hold this run"):
        find_plan(make_job(output=str(images)), classifier)


def test_an_output_inside_the_input_is_not_an_image(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(output=str(images / "out"))
    make_plan(config, classifier)
    write(images / "out" / "data" / "part.parquet", b"rows")
    assert list_job(config).num_rows == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "/nowhere/at/all"}, "input: must hold at least one file, got none below file:///nowhere/at/all"),
        ({"include": "['*.tif']"}, r"10 left out by include and exclude\); check the path and the globs"),
    ],
    ids=str,
)
def test_an_input_without_a_file_is_refused_and_nothing_is_written(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        find_plan(make_job(**changes), classifier)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        ("{}", "must be of schema 2, got None in .*plan.json"),
        ('{"schema_version": 1}', "must be of schema 2, got 1 in .*; finish the run with the version"),
        ('{"schema_version": 2, "num_rows": 3}', "run_id: is required"),
        pytest.param("[]", "plan.json"),
        pytest.param("null", "plan.json"),
    ],
)
def test_a_plan_that_cannot_be_read_is_named(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, content: str | bytes, message: str
) -> None:
    write(tmp_path / "out" / PLAN_FILE, content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message):
        find_plan(make_job(), classifier)


def test_a_plan_with_an_unknown_key_is_refused(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    make_plan(make_job(), classifier)
    path = tmp_path / "out" / PLAN_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"colour": "blue"}))
    with pytest.raises(ConfigError, match="colour: is not a known key"):
        find_plan(make_job(), classifier)


def test_a_plan_round_trips(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=3)
    made = make_plan(config, classifier)
    stored = storage.read_bytes(storage.join(config.output, PLAN_FILE))
    assert Plan.model_validate_json(stored) == read_plan(config.output) == load_plan(config.output) == made


def test_an_output_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"output: must hold a run, got .* without plan\.json; check the path"):
        load_plan(str(tmp_path))


def test_a_plan_made_meanwhile_by_the_same_command_is_taken_over(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    assert find_plan(config, classifier) is None
    first = make_plan(config, classifier)
    assert make_plan(config, classifier) == first


def test_a_plan_made_meanwhile_by_another_command_is_refused(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(results__masks="none")
    assert find_plan(config, classifier) is None
    make_plan(make_job(), classifier)
    with pytest.raises(ConfigError, match="belongs to another run"):
        make_plan(config, classifier)


@pytest.mark.parametrize("damage", ["gone", "cut off"])
def test_a_resumed_run_checks_its_manifest(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, damage: str
) -> None:
    plan_job(make_job(), classifier)
    path = tmp_path / "out" / part_name(0)
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(JobError, match=r"part-000000\.parquet must have \d+ bytes, got .*; restore it"):
        list_job(make_job())


def test_every_run_has_a_name_of_its_own(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    first = make_plan(make_job(), classifier)
    limits = make_plan(make_job(output=str(tmp_path / "b"), limits__max_pixels=9), classifier)
    more = draw_folder(tmp_path / "more", 2)
    files = make_plan(make_job(output=str(tmp_path / "c"), input=str(more)), classifier)
    assert len({first.run_id, limits.run_id, files.run_id}) == 3


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    check_output_is_free(str(tmp_path))
    check_output_is_free(str(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "null"), (3, "3"), ("x", "x"), (["a"], "[a]"), ("y" * 200, "y" * 117 + "...")],
    ids=["null", "number", "text", "list", "long"],
)
def test_shorten(value: Any, expected: str) -> None:
    assert shorten(value) == expected
