"""A device that is too small and images that bring a model down: each costs its own row, and no other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inference_core.errors import ConfigError
from inference_core.models.package import load_package
from inference_core.runner import Runner
from jobs.config import JobConfig
from jobs.driver import run
from jobs.execution_config import ExecutionConfig
from jobs.progress import Counter as ProgressCounter
from jobs.progress import LineProgress
from jobs.runtime import call_on_cluster
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.failing_modules import HEAVY_RGB, POISON_RGB, fragile_package
from tests.integration.commands import command, run_arguments
from tests.jobs.local_run import plan_job, read_rows, run_shards

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns of its own settings
]

NUM_IMAGES = 64
BAD = "0017.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), NUM_IMAGES)


def spoiled(folder: Path, copy: Path, rgb: tuple[int, int, int] | None) -> Path:
    """The images, one of them of a single colour."""
    for path in folder.rglob("*.png"):
        target = copy / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    if rgb:
        Image.new("RGB", (24, 20), rgb).save(copy / BAD)
    return copy


def settings_of(package: Path, images: Path, output: Path, **execution: Any) -> JobConfig:
    execution = {"batch_size": NUM_IMAGES, "rows_per_shard": NUM_IMAGES, "device": "cpu", **execution}
    flags = {"model": str(package), "input": str(images), "output": str(output)}
    return read_settings(
        None, flags=flags, assignments=[f"execution.{key}={value}" for key, value in execution.items()]
    )


REFUSED = "the model refused the image: this image is poison"
TOO_LARGE = "does not fit the device's memory even alone"


@pytest.mark.parametrize(
    ("layout", "limits", "rgb", "status", "error"),
    [
        pytest.param("whole", {"max_images": 10}, None, "", "", id="small-device-whole"),
        pytest.param("split", {}, POISON_RGB, "infer_error", REFUSED, id="poison-split"),
        pytest.param("whole", {"max_images": 10}, POISON_RGB, "infer_error", REFUSED, id="both-whole"),
        pytest.param("split", {"max_images": 10}, POISON_RGB, "infer_error", REFUSED, id="both-split"),
        pytest.param("whole", {}, HEAVY_RGB, "oom", TOO_LARGE, id="heavy-whole"),
        pytest.param("split", {}, HEAVY_RGB, "oom", TOO_LARGE, id="heavy-split"),
    ],
)
@pytest.mark.usefixtures("local_ray")
def test_one_image_costs_one_row(
    folder: Path, tmp_path: Path, layout: str, limits: dict[str, int], rgb: Any, status: str, error: str
) -> None:
    package = fragile_package(tmp_path / "package", **limits)
    images = spoiled(folder, tmp_path / "images", rgb)
    config = settings_of(package, images, tmp_path / "out", layout=layout, actors=1, head_start="false")
    outcome = run(config, show=lambda state: LineProgress(ProgressCounter(total=NUM_IMAGES, done=0), log_format="json"))
    rows = {row["image_id"]: row for row in read_rows(tmp_path / "out")}
    assert len(rows) == NUM_IMAGES
    assert Counter(row["status"] for row in rows.values()) == Counter(
        {"ok": 64} if rgb is None else {"ok": 63, status: 1}
    )
    if rgb is not None:
        assert rows[BAD]["status"] == status
        assert error in rows[BAD]["error"]
        assert rows[BAD]["label"] is None
    assert outcome.facts.num_ok == NUM_IMAGES - (rgb is not None)
    expected = expected_labels(tmp_path, images)
    assert {name: row["label"] for name, row in rows.items() if row["status"] == "ok"} == expected


def expected_labels(scratch: Path, images: Path) -> dict[str, str]:
    """What one image at a time is, from a device that has room for all."""
    package = fragile_package(scratch / "large")
    config = settings_of(package, images, scratch / "one-by-one", batch_size=1)
    loaded = load_package(str(package))
    run_shards(config, loaded, plan_job(config, loaded))
    return {row["image_id"]: row["label"] for row in read_rows(config.output) if row["status"] == "ok"}


def test_the_command_does_the_same(folder: Path, tmp_path: Path) -> None:
    package = fragile_package(tmp_path / "package", max_images=10)
    images = spoiled(folder, tmp_path / "images", POISON_RGB)
    arguments = run_arguments(package, [images], tmp_path / "out", "execution.batch_size=64", "max_error_frac=0.1")
    ended = command(*arguments)
    assert ended.code == 0, ended.err
    assert Counter(row["status"] for row in read_rows(tmp_path / "out")) == Counter({"ok": 63, "infer_error": 1})


# What is measured where the workers are


def echo(value: Any) -> Any:
    return value


def refuse(reason: str) -> None:
    raise ConfigError(reason, key="engine")


@pytest.mark.usefixtures("local_ray")
def test_a_call_on_the_cluster_gives_its_result_and_raises_its_errors() -> None:
    config = ExecutionConfig(device="cpu")
    assert call_on_cluster(config, echo, {"a": (1, 2)}) == {"a": (1, 2)}
    with pytest.raises(ConfigError, match=r"^engine: must be named$") as caught:
        call_on_cluster(config, refuse, "must be named")
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("local_ray")
def test_a_cluster_without_gpus_cannot_be_asked_for_one() -> None:
    with pytest.raises(
        ConfigError, match=r"execution\.device: must be auto or cpu on a cluster without GPUs, got cuda"
    ):
        call_on_cluster(ExecutionConfig(device="cuda"), echo, 1)


def test_a_run_on_a_cluster_is_measured_there(
    folder: Path, tmp_path: Path, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    monkeypatch.setattr(Runner, "infer", None)  # nothing is measured in this process
    package = load_package(str(fragile_package(tmp_path / "package")))
    config = settings_of(Path(package.uri.removeprefix("file://")), folder, tmp_path / "out", precision="bf16")
    config = config.model_copy(update={"execution": config.execution.model_copy(update={"batch_size": "auto"})})
    plan = plan_job(config, package)
    assert plan.engine_choice is not None
    assert [str(one) for one in plan.engine_choice.table] == ["torch fp32", "torch bf16"]
    assert plan.batch_choice is not None
    assert plan.batch_choice.table
