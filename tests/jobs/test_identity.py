from __future__ import annotations

from typing import Any

import pytest

from inference_core.enhance.override import override_package
from jobs.config import JobConfig
from jobs.identity import identity_of
from jobs.kept_model import SAID_BY_JOBS
from tests.changed_settings import Path, changed_settings
from tests.specs import package_of

JOB = JobConfig.model_validate(
    {
        "model": "m",
        "input": "i",
        "output": "o",
        "tta": ["hflip"],
        "dropout": {"samples": 3},
        "statistics": {"groups": ["margin"]},
        "quality": {"rules": [{"when": {"score": {"below": 0.5}}, "verdict": "review"}]},
    }
)

BY_DIGEST = {"model", "model_facts", "trust_package_code", *SAID_BY_JOBS}
"""What counts by the digest of the package that the run infers with."""
AFTERWARDS = {
    "results.annotations",
    "results.budget_gb",
    "visuals",
    "explain",
    "videos",
    "drift_reference",
    "prices",
    "max_error_frac",
}
"""What is made of rows, or said of them, once they are there; explanations and pictures never touch a row."""
OTHER_WAYS = {
    "output",
    "reuse",
    "golden",
    *(
        f"execution.{name}"
        for name in (
            "actors",
            "address",
            "device",
            "gpus_per_actor",
            "head_start",
            "image_memory_bytes",
            "image_timeout_s",
            "layout",
            "max_actors",
            "metrics_address",
            "metrics_port",
            "no_progress_timeout_s",
            "num_cpus",
            "num_gpus",
            "prepare_tasks",
            "reuse_by",
            "rows_per_shard",
            "stop_grace_s",
            "threads_per_actor",
            "when_running",
        )
    ),
}
"""What leads to the same answers on another way, or from or to another place."""


def job(**changes: Any) -> JobConfig:
    return JobConfig.model_validate({"model": "m", "input": "in", "output": "out"} | changes)


def key_of(path: Path) -> str:
    """The dotted key of a setting, or of the section that is in one of the lists above as a whole."""
    keys = [".".join(map(str, path[:length])) for length in range(1, len(path) + 1)]
    return next((key for key in keys if key in BY_DIGEST | AFTERWARDS | OTHER_WAYS), keys[-1])


def test_settings_make_another_run_but_those_that_are_listed() -> None:
    own = identity_of(JOB, model_digest="d")
    changes = [(key_of(path), identity_of(changed, model_digest="d")) for path, changed in changed_settings(JOB)]
    free = {key for key, identity in changes if identity == own}
    assert free == BY_DIGEST | AFTERWARDS | OTHER_WAYS
    assert free.isdisjoint(key for key, identity in changes if identity != own)


def test_what_a_job_says_of_the_model_makes_another_model() -> None:
    package = package_of(b"weights", {"format": "timm", "architecture": {"name": "resnet18"}})
    digests = {override_package(package, **{key: getattr(JOB, key)}).digest for key in SAID_BY_JOBS}
    assert len(digests | {package.digest}) == len(SAID_BY_JOBS) + 1


@pytest.mark.parametrize(
    ("changes", "is_same_run"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"output": "elsewhere"}, True, id="the-output-moved"),
        pytest.param({"max_error_frac": 1}, True, id="only-the-exit-code"),
        pytest.param({"execution": {"actors": 3, "layout": "split", "address": "auto"}}, True, id="another-machine"),
        pytest.param({"execution": {"rows_per_shard": 9}}, True, id="shards-were-cut-by-the-first-run"),
        pytest.param({"input": ["in", "more"]}, False, id="input"),
        pytest.param({"include": ["*.jpg"]}, False, id="include"),
        pytest.param({"exclude": []}, False, id="exclude"),
        pytest.param({"limits": {"max_pixels": 7}}, False, id="limits"),
        pytest.param({"results": {"masks": "none"}}, False, id="results"),
        pytest.param({"execution": {"precision": "fp32"}}, False, id="precision"),
        pytest.param({"execution": {"engine": "openvino"}}, False, id="engine"),
        pytest.param({"execution": {"batch_size": 3}}, False, id="batch-size"),
        pytest.param({"execution": {"batch_size": "auto"}}, False, id="measured-batch-size"),
        pytest.param({"execution": {"precision_guard": "warn"}}, False, id="precision-guard"),
        pytest.param({"execution": {"compile": True}}, False, id="compile"),
        pytest.param({"execution": {"cuda_graphs": True}}, False, id="cuda-graphs"),
    ],
)
def test_what_makes_two_commands_the_same_run(changes: dict[str, Any], is_same_run: bool) -> None:
    same = identity_of(job(**changes), model_digest="d") == identity_of(job(), model_digest="d")
    assert same is is_same_run


def test_another_model_is_another_run() -> None:
    assert identity_of(job(), model_digest="a") != identity_of(job(), model_digest="b")
