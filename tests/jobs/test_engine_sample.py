from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from inference_core.choice_lines import describe_choice
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage, load_package
from jobs import engine_sample
from jobs.cli import show_state
from jobs.driver import check_package
from jobs.engine_sample import choose_elsewhere, may_be_open, works_here
from jobs.execution_config import ExecutionConfig
from jobs.found_state import find_state
from jobs.listing import Listing
from jobs.plan import make_plan, read_plan
from jobs.stages import make_runner
from jobs.told_stages import stage_settings
from tests.drawn_images import write
from tests.failing_modules import fragile_package
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards
from tests.tiny_models import tiny_classifier

pytest.importorskip("openvino", reason="the extra openvino is not installed")


def spoil(images: Path) -> None:
    """Make every file of a folder one that is no image."""
    for path in images.rglob("*"):
        if path.is_file():
            write(path, b"no image")


def test_without_auto_nothing_is_measured(make_job: MakeJob, classifier: ModelPackage) -> None:
    plan = make_plan(make_job(), classifier)
    assert plan.engine_choice is None
    assert stage_settings(make_job(), classifier, plan, Listing()).engine == "default"


def test_auto_is_measured_once_and_kept_in_the_plan(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    config = make_job(execution__engine="auto")
    choice = make_plan(config, classifier).engine_choice
    assert choice is not None
    assert [(one.engine, one.precision) for one in choice.table][:2] == [("onnxruntime", "fp32"), ("openvino", "fp32")]
    assert all(one.images_per_s > 0 for one in choice.table)
    spoil(images)  # a resumed run measures nothing: it would find no image
    found = plan_job(config, classifier)
    assert found.engine_choice == choice
    settings = stage_settings(config, classifier, found, Listing())
    assert (settings.engine, settings.precision) == (choice.engine, choice.precision)


def test_a_named_engine_runs_the_shards(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__engine="openvino")
    plan = plan_job(config, classifier)
    assert make_runner(stage_settings(config, classifier, plan, Listing())).engine_facts.engine == "openvino"
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
    state = find_state(config.output, make_plan(config, classifier), Listing(), is_new=True)
    show_state(state, console=Console(stderr=True, width=200), log_format="text")
    assert ("onnxruntime fp32: " in capsys.readouterr().err) is is_told
    show_state(state, console=Console(stderr=True), log_format="json")
    assert ("engine" in json.loads(capsys.readouterr().err)) is is_told


# Batch size


def test_a_batch_size_is_measured_once_and_the_same_for_all_workers(
    make_job: MakeJob, classifier: ModelPackage, images: Path
) -> None:
    config = make_job(execution__batch_size="auto", execution__rows_per_shard=4)
    choice = make_plan(config, classifier).batch_choice
    assert choice is not None
    assert {trial.batch_size for trial in choice.table} <= {1, 2, 4}  # no batch is larger than a shard
    spoil(images)  # a resumed run measures nothing: it would find no image
    found = plan_job(config, classifier)
    assert found.batch_choice == choice
    settings = stage_settings(config, classifier, found, Listing())
    assert (settings.batch_size, settings.size_of_shape) == (choice.batch_size, choice.size_of_shape)
    assert hash(settings) == hash(stage_settings(config, classifier, found, Listing()))
    assert make_runner(settings).batch_size == choice.batch_size


@pytest.mark.parametrize(("batch_size", "used"), [("null", 16), (3, 3)], ids=str)
def test_a_batch_size_that_is_said_is_not_measured(
    make_job: MakeJob, classifier: ModelPackage, batch_size: object, used: int
) -> None:
    config = make_job(execution__batch_size=batch_size)
    plan = make_plan(config, classifier)
    assert plan.batch_choice is None
    assert make_runner(stage_settings(config, classifier, plan, Listing())).batch_size == used


def test_rows_of_a_measured_size_are_those_of_the_same_number(make_job: MakeJob, tmp_path: Path, images: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path / "mixing", mixes_batch=True)))
    config = make_job(model=package.uri, execution__batch_size="auto")
    plan = plan_job(config, package)
    run_shards(config, package, plan)
    assert plan.batch_choice is not None
    other = make_job(
        model=package.uri, output=str(tmp_path / "other"), execution__batch_size=plan.batch_choice.batch_size
    )
    run_shards(other, package, plan_job(other, package))
    assert read_rows(config.output) == read_rows(other.output)


def test_the_command_tells_the_batch_size(
    make_job: MakeJob, classifier: ModelPackage, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_job(execution__batch_size="auto")
    state = find_state(config.output, make_plan(config, classifier), Listing(), is_new=True)
    show_state(state, console=Console(stderr=True, width=200), log_format="text")
    told = capsys.readouterr().err
    assert "batch size: batch " in told
    assert "  batch 1 of 16x16: " in told
    show_state(state, console=Console(stderr=True), log_format="json")
    assert json.loads(capsys.readouterr().err)["batch"]["batch_size"] >= 1


# Precision


@pytest.mark.parametrize(
    ("precision", "guard", "compares"),
    [
        ("auto", "fall_back", False),
        ("fp32", "fall_back", False),
        ("bf16", "fall_back", True),
        ("bf16", "warn", True),
        ("bf16", "off", False),
    ],
)
def test_when_a_precision_is_compared(
    make_job: MakeJob, fragile: ModelPackage, precision: str, guard: str, compares: bool
) -> None:
    config = make_job(
        model=fragile.uri, execution__precision=precision, execution__precision_guard=guard, execution__device="cpu"
    )
    assert may_be_open(config.execution) is compares
    assert (make_plan(config, fragile).engine_choice is not None) is compares


@pytest.mark.parametrize(("guard", "used"), [("fall_back", "fp32"), ("warn", "bf16"), ("off", "bf16")])
def test_the_guard_decides_what_workers_compute_in(
    make_job: MakeJob, tmp_path: Path, images: Path, guard: str, used: str
) -> None:
    write_white(images / "white.png")
    package = load_package(str(fragile_package(tmp_path / "overflowing", scale=3.4e38)))
    config = make_job(
        model=package.uri, execution__precision="bf16", execution__precision_guard=guard, execution__device="cpu"
    )
    plan = plan_job(config, package)
    run_shards(config, package, plan)
    rows = {row["image_id"]: row["status"] for row in read_rows(config.output)}
    assert rows["white.png"] == ("ok" if used == "fp32" else "infer_error")
    assert stage_settings(config, package, plan, Listing()).precision == used
    if plan.engine_choice is not None:
        assert "its outputs hold inf or nan" in plan.engine_choice.warnings[0]
        assert read_plan(config.output) == plan


def test_a_sample_without_a_good_image_does_not_stop_a_run_in_low_precision(
    make_job: MakeJob, fragile: ModelPackage, images: Path
) -> None:
    spoil(images)
    config = make_job(model=fragile.uri, execution__precision="bf16", execution__device="cpu")
    assert make_plan(config, fragile).engine_choice is None


# Where


@pytest.mark.parametrize(
    ("settings", "here"),
    [
        pytest.param({"device": "cpu"}, True, id="cpu"),
        pytest.param({"device": "cpu", "address": "10.0.0.1:6379"}, False, id="cluster"),
        pytest.param({"device": "cuda", "address": "10.0.0.1:6379"}, False, id="gpus-of-a-cluster"),
    ],
)
def test_where_is_measured(settings: dict[str, str], here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert works_here(ExecutionConfig(**settings)) is here


def test_a_cluster_may_have_gpus_whose_precision_is_to_be_compared() -> None:
    assert may_be_open(ExecutionConfig(address="10.0.0.1:6379"))
    assert not may_be_open(ExecutionConfig(address="10.0.0.1:6379", device="cpu"))
    assert not may_be_open(ExecutionConfig(address="10.0.0.1:6379", precision="fp32"))


def test_another_package_elsewhere_is_refused(make_job: MakeJob, classifier: ModelPackage) -> None:
    with pytest.raises(ModelError, match=r"must be the planned model .* on every machine"):
        choose_elsewhere(make_job(), classifier.uri, "0" * 64, [], max_batch_size=1)


# Options of the torch engine


@pytest.mark.parametrize("option", ["compile", "cuda_graphs"])
def test_options_of_torch_need_torch(make_job: MakeJob, classifier: ModelPackage, option: str) -> None:
    with pytest.raises(ConfigError, match=f"execution.{option}: must be false for format onnx, which onnxruntime runs"):
        check_package(classifier, ExecutionConfig(**{option: True}))
    with pytest.raises(ConfigError, match=f"execution: engine must be default or torch with {option}, got openvino"):
        make_job(**{f"execution__{option}": "true"}, execution__engine="openvino")


def test_cuda_graphs_need_cuda(make_job: MakeJob) -> None:
    with pytest.raises(ConfigError, match="execution: device must be auto or cuda with cuda_graphs, got cpu"):
        make_job(execution__cuda_graphs="true", execution__device="cpu")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_workers_compile_where_asked(make_job: MakeJob, fragile: ModelPackage) -> None:
    config = make_job(model=fragile.uri, execution__compile="true")
    runner = make_runner(stage_settings(config, fragile, make_plan(config, fragile), Listing()))
    assert str(runner.engine_facts) == "torch on cpu, fp32, compiled"


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(str(fragile_package(tmp_path_factory.mktemp("fragile"))))


def write_white(path: Path) -> None:
    """An image whose mean is the largest that there is."""
    Image.new("RGB", (24, 20), "white").save(path)
