"""Runs of sealed packages, as a user starts them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import JobError
from inference_core.golden.read import GoldenImage
from inference_core.golden.seal import seal
from inference_core.models.package import ModelPackage, load_package
from jobs.receipts import pipeline_receipts
from jobs.resources import choose_pools
from jobs.runtime import ray_session
from jobs.settings import read_settings
from jobs.told_stages import stage_settings
from tests.drawn_images import draw_folder, png_bytes
from tests.integration.commands import command, run_arguments
from tests.jobs.local_run import list_job, plan_job, run_shards
from tests.sealed_packages import shift_outputs
from tests.tiny_models import tiny_classifier

pytestmark = pytest.mark.integration


@pytest.fixture
def sealed(tmp_path: Path) -> ModelPackage:
    package = load_package(str(tiny_classifier(tmp_path / "package")))
    seal(package, [GoldenImage(name=f"{index}.png", data=png_bytes(index)) for index in range(2)])
    return package


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images", 12)


def summary_of(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "report" / "summary.json").read_text())
    return found


def test_a_run_says_that_its_package_keeps_its_contract(sealed: ModelPackage, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    ended = command(*run_arguments(sealed.uri, [folder], output))
    assert ended.code == 0, ended.err
    line = "2 images, largest difference 0, passed on onnxruntime fp32"
    assert f"\ngolden: {line}\n" in ended.err
    assert json.loads((output / "plan.json").read_text())["golden"]["state"] == "passed"
    assert summary_of(output)["run"]["golden"] == line


def test_a_failing_package_is_refused_and_runs_when_told_to(sealed: ModelPackage, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    shift_outputs(sealed, by=0.5)
    refused = command(*run_arguments(sealed.uri, [folder], output))
    assert refused.code == 2
    assert "must give what was sealed, got other values:" in refused.err
    assert not output.exists()

    ended = command(*run_arguments(sealed.uri, [folder], output, "golden=record"))
    assert ended.code == 0, ended.err
    assert "warning: golden: 2 images, failed on onnxruntime fp32" in ended.err
    assert json.loads((output / "plan.json").read_text())["golden"]["state"] == "failed"
    assert summary_of(output)["run"]["golden"].startswith("2 images, failed on onnxruntime fp32")


def test_a_resumed_run_is_held_to_it_too(sealed: ModelPackage, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = run_arguments(sealed.uri, [folder], output, "execution.rows_per_shard=4")
    flags = {"model": sealed.uri, "input": [str(folder)], "output": str(output)}
    config = read_settings(None, flags=flags, assignments=["execution.rows_per_shard=4"])
    run_shards(config, sealed, plan_job(config, sealed), [0])
    shift_outputs(sealed, by=0.5)
    refused = command(*arguments)
    assert (refused.code, "must give what was sealed" in refused.err) == (2, True)

    ended = command(*arguments, "--set", "golden=skip")
    assert ended.code == 0, ended.err
    assert "\ngolden: not checked, as asked\n" in ended.err
    assert summary_of(output)["run"]["golden"] == "not checked, as asked"
    finished = command(*arguments)
    assert finished.code == 0, finished.err
    assert "golden:" not in finished.err.partition("planned")[2]  # nothing is left to be checked for


@pytest.mark.usefixtures("local_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray warns of its own settings
@pytest.mark.parametrize("layout", ["whole", "split"])
def test_a_worker_elsewhere_that_answers_otherwise_ends_the_run(
    sealed: ModelPackage, folder: Path, tmp_path: Path, layout: str
) -> None:
    flags = {"model": sealed.uri, "input": [str(folder)], "output": str(tmp_path / "out")}
    config = read_settings(None, flags=flags, assignments=[f"execution.layout={layout}"])
    settings = replace(stage_settings(config, sealed, plan_job(config, sealed), list_job(config)), checks_golden=True)
    shift_outputs(sealed, by=0.5)  # after the driver looked, and so as if a worker's software were another
    with ray_session(config.execution) as resources:
        pools = choose_pools(resources, config.execution, num_shards=1).pools
        with pytest.raises(JobError, match=r"the run stopped: ModelError: golden images of .* on every worker"):
            list(pipeline_receipts([0], settings, pools=pools))
