"""The cluster files are of the form that Ray and Kubernetes want, and say what the documentation says of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from jobs.cli import register
from jobs.execution_config import ExecutionConfig

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


@pytest.fixture
def rayjob() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "rayjob.yaml").read_text())
    return loaded


def test_ray_up_accepts_the_cluster_file(cluster: dict[str, Any]) -> None:
    validate_config(prepare_config(copy.deepcopy(cluster)))


@pytest.mark.parametrize(
    "change", [{"max_worker": 1}, {"idle_timeout_minutes": "soon"}, {"head_node_type": "none"}], ids=str
)
def test_ray_up_would_refuse_a_wrong_one(cluster: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=next(iter(change))):  # jsonschema's and Ray's own
        validate_config(prepare_config(copy.deepcopy(cluster) | change))


def test_the_head_does_no_work(cluster: dict[str, Any], rayjob: dict[str, Any]) -> None:
    assert cluster["available_node_types"][cluster["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}
    assert any("--head" in line and "--num-cpus=0" in line for line in cluster["head_start_ray_commands"])
    assert rayjob["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_gpu_workers_are_spot_and_grow_from_none(cluster: dict[str, Any]) -> None:
    kinds = cluster["available_node_types"]
    gpu, cpu = kinds["gpu_spot"], kinds["cpu"]
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in cpu["node_config"]
    assert gpu["resources"]["GPU"] == 1
    assert "GPU" not in cpu["resources"]
    assert (gpu["min_workers"], cpu["min_workers"]) == (0, 1)
    assert gpu["max_workers"] + cpu["max_workers"] <= cluster["max_workers"]


def test_workers_install_what_the_checkout_pins(cluster: dict[str, Any]) -> None:
    (target,) = cluster["file_mounts"]
    install = next(line for line in cluster["setup_commands"] if "pip install" in line)
    assert f"-c {target}/constraints.txt" in install
    assert f"{target}[cluster,onnx]" in install
    assert (ROOT / "constraints.txt").is_file()


def test_the_manifest_is_a_whole_ray_job(rayjob: dict[str, Any]) -> None:
    spec = rayjob["spec"]
    assert (rayjob["apiVersion"], rayjob["kind"]) == ("ray.io/v1", "RayJob")
    assert set(spec) <= RAYJOB_KEYS
    assert spec["shutdownAfterJobFinishes"] is True
    groups = spec["rayClusterSpec"]["workerGroupSpecs"]
    assert set(spec["rayClusterSpec"]) <= CLUSTER_KEYS
    for group in groups:
        assert set(group) == {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    with_gpu = [group["groupName"] for group in groups if "nvidia.com/gpu" in str(limits_of(group))]
    assert with_gpu == ["gpu-spot"]
    images = {container["image"] for group in groups for container in group["template"]["spec"]["containers"]}
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert images == {head["image"]}, "Ray must be the same everywhere"


RAYJOB_KEYS = {
    "submissionMode",
    "entrypoint",
    "runtimeEnvYAML",
    "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished",
    "backoffLimit",
    "rayClusterSpec",
}
"""Of RayJobSpec in KubeRay's API reference; its schema is not part of Ray."""
CLUSTER_KEYS = {"rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec", "workerGroupSpecs"}


def limits_of(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Resource limits of a group's containers."""
    return [container["resources"]["limits"] for container in group["template"]["spec"]["containers"]]


def test_the_manifest_runs_the_command_and_leaves_it_time_to_stop(rayjob: dict[str, Any]) -> None:
    import typer

    app = typer.Typer()
    register(app)
    words = rayjob["spec"]["entrypoint"].split()
    assert words[:3] == ["python", "-m", "jobs"]
    assert words[3] in {command.name for command in app.registered_commands}
    wait_s = float(yaml.safe_load(rayjob["spec"]["runtimeEnvYAML"])["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"])
    assert wait_s > ExecutionConfig().stop_grace_s


def test_the_manifest_names_the_ray_that_the_project_pins(rayjob: dict[str, Any]) -> None:
    version = rayjob["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"ray=={version}" in (ROOT / "constraints.txt").read_text().split()
