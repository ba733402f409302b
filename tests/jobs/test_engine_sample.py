from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs import engine_sample
from jobs.cli import show_state
from jobs.config import ExecutionConfig
from jobs.engine_lines import describe_choice
from jobs.plan import make_plan, read_plan
from jobs.run import check_package, find_state, stage_settings
from jobs.stages import make_runner
from tests.drawn_images import write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards

pytest.importorskip("openvino", reason="the extra openvino is not installed")


def spoil(images: Path) -> None:
    """Make every file of a folder one that is no image."""
    for path in images.rglob("*"):
        if path.is_file():
            write(path, b"no image")


def test_without_auto_nothing_is_measured(make_job: MakeJob, classifier: ModelPackage) -> None:
    plan = make_plan(make_job(), classifier)
    assert plan.engine_choice is None
    assert stage_settings(make_job(), classifier, plan).engine == "default"


def test_auto_is_measured_once_and_kept_in_the_plan(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(execution__engine="auto")
    choice = make_plan(config, classifier).engine_choice
    assert choice is not None
    assert [(one.engine, one.precision) for one in choice.table][:2] == [("onnxruntime", "fp32"), ("openvino", "fp32")]
    assert all(one.images_per_s > 0 for one in choice.table)
    spoil(images)  # a resumed run measures nothing: it would find no image
    found = plan_job(config, classifier)
    assert found.engine_choice == choice
    settings = stage_settings(config, classifier, found)
    assert (settings.engine, settings.precision) == (choice.engine, choice.precision)


def test_a_named_engine_runs_the_shards(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__engine="openvino")
    plan = plan_job(config, classifier)
    assert make_runner(stage_settings(config, classifier, plan)).engine_facts.engine == "openvino"
    run_shards(config, classifier, plan)
    assert sum(row["status"] == "ok" for row in read_rows(config.output)) == 7


def test_another_engine_is_another_run(make_job: MakeJob, classifier: ModelPackage) -> None:
    make_plan(make_job(), classifier)
    with pytest.raises(ConfigError, match=r"execution\.engine: the run has default, this command has openvino"):
        plan_job(make_job(execution__engine="openvino"), classifier)


def test_a_sample_without_a_good_image_is_refused(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    spoil(images)
    with pytest.raises(ConfigError, match="engine: must be named where no image of the sample can be read"):
        make_plan(make_job(execution__engine="auto"), classifier)


def test_large_images_make_a_small_sample(
    make_job: MakeJob, classifier: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_sample, "MAX_SAMPLE_BYTES", 1)
    config = make_job(execution__engine="auto")
    assert make_plan(config, classifier).engine_choice is not None


@pytest.mark.parametrize("engine", ["torch", "litert"])
def test_an_engine_that_cannot_run_the_format_is_refused_first(classifier: ModelPackage, engine: str) -> None:
    with pytest.raises(ConfigError, match=f"engine: must be default, onnxruntime or openvino or tensorrt.*{engine}"):
        check_package(classifier, ExecutionConfig(engine=engine))


@pytest.mark.parametrize("engine", ["auto", "tensorrt"])
def test_what_this_machine_cannot_check_is_checked_with_the_default(classifier: ModelPackage, engine: str) -> None:
    check_package(classifier, ExecutionConfig(engine=engine))


def test_the_choice_is_told_with_all_that_was_measured(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__engine="auto")
    make_plan(config, classifier)
    stored = read_plan(config.output)
    assert stored is not None
    assert stored.engine_choice is not None
    lines = describe_choice(stored.engine_choice)
    assert lines[0].startswith("engine: ")
    assert lines[1].startswith("  onnxruntime fp32: ")
    assert lines[1].endswith("images/s, largest difference 0, 0.0% of answers differ")


@pytest.mark.parametrize(("engine", "is_told"), [("auto", True), ("default", False)], ids=str)
def test_the_command_tells_the_choice(
    make_job: MakeJob, classifier: ModelPackage, capsys: pytest.CaptureFixture[str], engine: str, is_told: bool
) -> None:
    config = make_job(execution__engine=engine)
    state = find_state(config.output, make_plan(config, classifier), is_new=True)
    show_state(state, console=Console(stderr=True, width=200), log_format="text")
    assert ("onnxruntime fp32: " in capsys.readouterr().err) is is_told
    show_state(state, console=Console(stderr=True), log_format="json")
    assert ("engine" in json.loads(capsys.readouterr().err)) is is_told
