"""Models that a job imports on the fly and keeps beside its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.enhance.override import override_package
from inference_core.enhance_spec import TtaSpec
from inference_core.errors import ConfigError
from inference_core.importing.findings import MissingFactsError
from inference_core.models.package import load_package
from jobs.config import JobConfig
from jobs.kept_model import find_model, keep_model
from jobs.plan import find_plan, make_plan
from jobs.planning_traces import find_foreign
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards
from tests.onnx_graphs import pixel_planes

SAID = {
    "model_facts__task": "segmentation",
    "model_facts__preset": "unit",
    "model_facts__input__fit": "native",
    "model_facts__input__multiple_px": 8,
    "model_facts__classes": "[red, green, blue]",
}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Planes of three colours for images of any size."""
    path = tmp_path / "planes.onnx"
    path.write_bytes(pixel_planes(4 * np.eye(3)))
    return path


@pytest.fixture
def job(make_job: MakeJob, graph: Path) -> JobConfig:
    return make_job(model=str(graph), **SAID)


def output_of(job: JobConfig) -> Path:
    return Path(job.output.removeprefix("file://"))


def test_a_package_is_taken_as_it_is(make_job: MakeJob) -> None:
    job = make_job()
    model = find_model(job)
    assert (model.package.uri, model.imported) == (job.model, None)
    assert not output_of(job).exists()


def test_an_imported_model_is_kept_and_runs(job: JobConfig) -> None:
    model = find_model(job)
    assert model.package.uri == f"{job.output}/model"
    assert model.imported is not None
    record = json.loads((output_of(job) / "model" / "import.json").read_bytes())
    assert record == {"schema": 1, "model_digest": model.package.digest, "source": job.model}
    plan = plan_job(job, model.package)
    run_shards(job, model.package, plan)
    rows = read_rows(output_of(job))
    assert sum(row["status"] == "ok" for row in rows) == 7


def test_a_resumed_run_needs_no_source(job: JobConfig, graph: Path) -> None:
    first = find_model(job)
    plan_job(job, first.package)
    graph.unlink()
    again = find_model(job)
    assert (again.package.uri, again.package.digest) == (first.package.uri, first.package.digest)
    assert again.imported is None
    assert find_plan(job, again.package) is not None


def test_a_kept_model_that_is_gone_is_imported_again(job: JobConfig) -> None:
    first = find_model(job)
    plan_job(job, first.package)
    (output_of(job) / "model" / "model.yaml").unlink()
    again = find_model(job)
    assert again.imported is not None
    assert load_package(f"{job.output}/model").digest == first.package.digest


def test_other_facts_are_another_run(make_job: MakeJob, job: JobConfig) -> None:
    plan_job(job, find_model(job).package)
    other = make_job(model=job.model, **{**SAID, "model_facts__input__color": "bgr"})
    with pytest.raises(ConfigError, match=r"belongs to another run:\n  model_digest: "):
        find_model(other)


def test_another_source_with_the_same_bytes_is_the_same_run(make_job: MakeJob, job: JobConfig, tmp_path: Path) -> None:
    first = find_model(job)
    plan_job(job, first.package)
    (tmp_path / "moved.onnx").write_bytes((tmp_path / "planes.onnx").read_bytes())
    moved = find_model(make_job(model=str(tmp_path / "moved.onnx"), **SAID))
    assert (moved.package.uri, moved.package.digest) == (first.package.uri, first.package.digest)


@pytest.mark.parametrize("left", ["import.json", "planes.onnx"], ids=["marker-only", "without-yaml"])
def test_an_interrupted_writing_does_not_hinder_the_next_command(job: JobConfig, left: str) -> None:
    digest = find_model(job).package.digest
    folder = output_of(job) / "model"
    for path in folder.iterdir():
        if path.name not in ("import.json", left):
            path.unlink()
    assert find_foreign(job.output) is None
    assert find_model(job).package.digest == digest
    assert make_plan(job, find_model(job).package).identity["model_digest"] == digest


def test_a_half_written_file_is_written_again(job: JobConfig) -> None:
    digest = find_model(job).package.digest
    (output_of(job) / "model" / "planes.onnx").write_bytes(b"half")
    assert find_model(job).package.digest == digest


def test_what_an_interrupted_command_left_of_another_model_stays(
    make_job: MakeJob, job: JobConfig, graph: Path
) -> None:
    first = find_model(job).package
    graph.write_bytes(pixel_planes(3 * np.eye(3)))
    second = find_model(job).package
    assert second.uri == f"{job.output}/model-{second.digest[:16]}"
    assert load_package(first.uri).digest == first.digest
    plan_job(job, second)
    graph.unlink()
    assert find_model(job).package.uri == second.uri


def test_missing_facts_are_said_as_the_job_takes_them(make_job: MakeJob, graph: Path) -> None:
    said = {key: value for key, value in SAID.items() if key != "model_facts__input__multiple_px"}
    del said["model_facts__input__fit"]
    job = make_job(model=str(graph), **said)
    with pytest.raises(MissingFactsError) as refused:
        find_model(job)
    assert "e.g. --set model_facts.input.fit=stretch" in str(refused.value)
    assert not output_of(job).exists()


def test_facts_of_a_package_are_refused(make_job: MakeJob) -> None:
    with pytest.raises(ConfigError, match=r"^model_facts: must be absent with a model package"):
        find_model(make_job(model_facts__task="segmentation"))


@pytest.mark.parametrize(
    "path", ["notes.txt", "model/notes.txt", "model-x/notes.txt"], ids=["file", "folder", "folder-with-dash"]
)
def test_an_output_with_files_of_the_user_is_refused(job: JobConfig, path: str) -> None:
    place = output_of(job) / path
    place.parent.mkdir(parents=True)
    place.write_text("mine")
    with pytest.raises(ConfigError, match=rf"^output: must be empty or hold this run, .*with {path}"):
        find_model(job)
    assert [found.name for found in place.parent.iterdir()] == ["notes.txt"]


def test_dotted_and_nested_facts_are_the_same_model(make_job: MakeJob, job: JobConfig, graph: Path) -> None:
    facts: dict[str, Any] = {
        "task": "segmentation",
        "preset": "unit",
        "input.fit": "native",
        "input.multiple_px": 8,
        "classes": ["red", "green", "blue"],
    }
    dotted = job.model_copy(update={"model_facts": facts})
    assert find_model(dotted).package.digest == find_model(job).package.digest


def test_keeping_twice_is_keeping_once(job: JobConfig) -> None:
    kept = find_model(job).package
    times = {path.name: path.stat().st_mtime_ns for path in (output_of(job) / "model").iterdir()}
    assert keep_model(kept, job).uri == kept.uri
    assert {path.name: path.stat().st_mtime_ns for path in (output_of(job) / "model").iterdir()} == times


def test_a_job_with_views_of_its_own_keeps_the_package_that_says_so(make_job: MakeJob) -> None:
    plain, job = find_model(make_job()).package, make_job(tta="[hflip]")
    package = find_model(job).package
    assert package.uri == f"{job.output}/model"
    assert package.digest == override_package(plain, tta=TtaSpec(views=("hflip",))).digest != plain.digest
    run_shards(job, package, plan_job(job, package))
    rows = [row for row in read_rows(output_of(job)) if row["status"] == "ok"]
    assert {tuple(gain["name"] for gain in row["gains"]) for row in rows} == {("hflip",)}
    again = find_model(job).package
    assert (again.uri, again.digest) == (package.uri, package.digest)
    with pytest.raises(ConfigError, match=r"belongs to another run:\n  model_digest: "):
        find_plan(make_job(), find_model(make_job()).package)
    with pytest.raises(ConfigError, match=r"belongs to another run:\n  model_digest: "):
        find_model(make_job(tta="[vflip]"))


def test_a_job_with_rules_of_its_own_judges_by_them(make_job: MakeJob) -> None:
    rules = "[{when: {score: {below: 0.999}}, verdict: review, reason: unsure}]"
    plain, job = find_model(make_job()).package, make_job(statistics="full", quality__rules=rules)
    package = find_model(job).package
    assert package.digest != plain.digest
    assert package.spec.statistic_groups == ("margin", "image")
    run_shards(job, package, plan_job(job, package))
    rows = [row for row in read_rows(output_of(job)) if row["status"] == "ok"]
    assert rows
    assert all((row["verdict"] == "review") == (row["score"] < 0.999) for row in rows)
    assert all(0 < row["brightness"] < 1 and row["margin"] > 0 for row in rows)
    assert find_model(job).package.digest == package.digest
    with pytest.raises(ConfigError, match=r"belongs to another run:\n  model_digest: "):
        find_model(make_job(statistics="full"))


def test_rules_that_do_not_fit_the_model_are_refused(make_job: MakeJob, graph: Path) -> None:
    rules = "[{when: {num_objects: {below: 1}}, verdict: review}]"
    with pytest.raises(ConfigError, match="must name what task classification tells, got 'num_objects'"):
        find_model(make_job(quality__rules=rules))
    with pytest.raises(ConfigError, match=r"statistics: must go with a model package, .* set model_facts.statistics"):
        find_model(make_job(model=str(graph), statistics="full", **SAID))


def test_the_identity_alone_is_the_package_as_it_is(make_job: MakeJob) -> None:
    assert find_model(make_job(tta="[identity]")).package.digest == find_model(make_job()).package.digest


def test_views_of_an_imported_model_are_said_with_its_facts(make_job: MakeJob, graph: Path) -> None:
    with pytest.raises(ConfigError, match=r"tta: must go with a model package, got .*; set model_facts.tta instead"):
        find_model(make_job(model=str(graph), tta="[hflip]", **SAID))
    said = find_model(make_job(model=str(graph), model_facts__tta__views="[hflip]", **SAID))
    assert said.package.spec.tta == TtaSpec(views=("hflip",))


@pytest.mark.integration
def test_a_model_is_kept_on_s3(make_job: MakeJob, graph: Path, s3_bucket: str) -> None:
    job = make_job(model=str(graph), output=f"{s3_bucket}/kept-model/out", **SAID)
    first = find_model(job).package
    plan_job(job, first)
    graph.unlink()
    assert find_model(job).package.uri == first.uri == f"{s3_bucket}/kept-model/out/model"
