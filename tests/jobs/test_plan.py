from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference_core import storage
from inference_core.errors import ConfigError, JobError
from inference_core.models.package import ModelPackage
from inference_core.provenance import sha256_hex
from jobs.manifest import read_shard_rows
from jobs.plan import (
    MANIFEST_FILE,
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
from tests.jobs.local_run import plan_job


def test_a_free_output_has_no_plan(make_job: MakeJob, classifier: ModelPackage) -> None:
    assert find_plan(make_job(), classifier) is None


def test_a_plan_holds_every_file_once(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = make_plan(config, classifier)
    rows = [
        row
        for shard_id in range(len(plan.shards))
        for row in read_shard_rows(storage.join(config.output, MANIFEST_FILE), shard_id).to_pylist()
    ]
    files = sorted(path.relative_to(images).as_posix() for path in images.rglob("*") if path.is_file())
    assert [row["image_id"] for row in rows] == files
    assert [row["row_id"] for row in rows] == list(range(10))
    assert plan.num_rows == 10
    assert plan.shard_runs == ((2, 4), (1, 2))
    assert plan.num_bytes == sum((images / name).stat().st_size for name in files)
    assert (plan.model_name, plan.task, plan.classes) == (
        "tiny-classification",
        "classification",
        ("red", "green", "blue"),
    )


def test_files_that_are_left_out_are_counted(make_job: MakeJob, classifier: ModelPackage) -> None:
    plan = make_plan(make_job(include="['*.png']"), classifier)
    assert (plan.num_rows, plan.num_left_out) == (8, 2)


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
    first = make_plan(make_job(), classifier)
    second = make_plan(make_job(output=str(tmp_path / "other"), **changes), classifier)
    assert (second.run_id, second.shard_runs) == (first.run_id, first.shard_runs)
    assert second.manifest_sha256 == first.manifest_sha256


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


def test_a_manifest_of_somebody_else_is_not_overwritten(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path
) -> None:
    write(tmp_path / "out" / MANIFEST_FILE, b"the user's own table")
    with pytest.raises(ConfigError, match="must be empty or hold this run"):
        plan_job(make_job(), classifier)


def test_an_output_that_is_an_input_is_refused(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    with pytest.raises(ConfigError, match="must be empty or hold this run"):
        find_plan(make_job(output=str(images)), classifier)


def test_an_output_inside_the_input_is_not_an_image(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(output=str(images / "out"))
    make_plan(config, classifier)
    (images / "out" / PLAN_FILE).unlink()  # as an interrupted planning leaves it
    assert plan_job(config, classifier).num_rows == 10


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
        ("{}", "must be of schema 1, got None in .*plan.json"),
        ('{"schema_version": 2}', "must be of schema 1, got 2 in .*; finish the run with the version"),
        ('{"schema_version": 1, "num_rows": 3}', "run_id: is required"),
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
    assert made.shards.num_rows == 10


def test_an_output_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"output: must hold a run, got .* without plan\.json; check the path"):
        load_plan(str(tmp_path))


def test_an_interrupted_planning_is_done_again(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, images: Path
) -> None:
    make_plan(make_job(), classifier)
    (tmp_path / "out" / PLAN_FILE).unlink()  # killed between the manifest and the plan, and then the input grew
    write(images / "new.png", b"one more")
    plan = plan_job(make_job(), classifier)
    assert plan.num_rows == 11
    assert sha256_hex((tmp_path / "out" / plan.manifest_file).read_bytes()) == plan.manifest_sha256


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


def test_a_plan_made_meanwhile_over_another_listing_is_not_mixed_with_ours(
    make_job: MakeJob, classifier: ModelPackage, images: Path, tmp_path: Path
) -> None:
    theirs = make_plan(make_job(), classifier)
    write(images / "new.png", b"")
    assert make_plan(make_job(), classifier) == theirs
    manifest = (tmp_path / "out" / MANIFEST_FILE).read_bytes()
    assert sha256_hex(manifest) == theirs.manifest_sha256


def test_a_manifest_that_is_not_the_plans_is_named(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    make_plan(make_job(), classifier)
    (tmp_path / "out" / MANIFEST_FILE).write_bytes(b"another")
    with pytest.raises(JobError, match=r"manifest\.parquet must be the one that plan\.json names"):
        make_plan(make_job(), classifier)


@pytest.mark.parametrize("damage", ["gone", "another"])
def test_a_resumed_run_checks_its_manifest(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, damage: str
) -> None:
    make_plan(make_job(), classifier)
    path = tmp_path / "out" / MANIFEST_FILE
    path.unlink() if damage == "gone" else path.write_bytes(b"another")
    with pytest.raises((JobError, ConfigError), match="manifest"):
        find_plan(make_job(), classifier)


def test_the_run_is_named_after_its_settings_and_its_listing(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path
) -> None:
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


def test_a_planner_never_writes_over_the_listing_of_another(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, images: Path
) -> None:
    make_plan(make_job(), classifier)
    (tmp_path / "out" / PLAN_FILE).unlink()  # another command has listed, and is about to plan
    before = (tmp_path / "out" / MANIFEST_FILE).read_bytes()
    write(images / "new.png", b"one more")
    plan = make_plan(make_job(), classifier)
    assert (tmp_path / "out" / MANIFEST_FILE).read_bytes() == before
    assert plan.manifest_file != MANIFEST_FILE
