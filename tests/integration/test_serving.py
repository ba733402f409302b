"""One real Ray Serve that is deployed, rolled out, broken and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import yaml
from ray import serve
from ray._private import state as ray_state
from ray.serve.schema import ServeDeploySchema

from inference_core.errors import ConfigError, JobError, ModelError
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.validation import build_settings
from serve.config import ServeConfig
from serve.inference import broken_error
from serve.running import APPLICATION, RunningService, start_service
from tests.hooked_packages import hook, hooked_classifier
from tests.integration.http_load import ask, load_on
from tests.serve.encoded_images import encode_image, image_bytes
from tests.tiny_models import tiny_classifier

ROOT = Path(__file__).resolve().parents[2]
IMAGES = [image_bytes(seed) for seed in range(50)]

pytestmark = pytest.mark.integration


def config_of(package: Path, **settings: Any) -> ServeConfig:
    model = {"name": "tiny", "package": str(package), "concurrent_batches": 2, "batch_size": 2, "replicas": 1}
    return ServeConfig.model_validate(
        {"models": [model], "http": {"port": 0}, "grpc": {"port": 0}, "cache_bytes": 0, "num_cpus": 2, **settings}
    )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def service(local_ray: None, package: Path) -> Iterator[RunningService]:
    running = start_service(config_of(package))
    yield running
    running.stop()


def replica_pids(name: str) -> set[int]:
    """Processes of a deployment's replicas."""
    actors = ray_state.state.actor_table(None).values()
    named = [actor for actor in actors if actor["ActorClassName"] == f"ServeReplica:{APPLICATION}:{name}"]
    return {actor["Pid"] for actor in named if actor["State"] == "ALIVE"}


def test_answers_as_the_predictor_does(service: RunningService, package: Path) -> None:
    predictor = Predictor.load(str(package), device="cpu", num_threads=1)
    for image in IMAGES[:3]:
        status, body = ask(service.addresses.url, image)
        expected = predictor.predict(image)
        assert status == 200
        assert body["model_digest"] == expected.model_digest
        assert body["prediction"]["label"] == expected.result.labels[0]  # type: ignore[union-attr]
        assert body["prediction"]["score"] == pytest.approx(float(expected.result.scores[0]))  # type: ignore[union-attr]


def test_grpc_answers_beside_http(service: RunningService) -> None:
    import grpc

    from serve.protos import open_inference_pb2 as messages

    address = service.addresses.grpc_address
    with grpc.insecure_channel(address) as channel:
        live = channel.unary_unary(
            "/inference.GRPCInferenceService/ServerReady",
            request_serializer=messages.ServerReadyRequest.SerializeToString,
            response_deserializer=messages.ServerReadyResponse.FromString,
        )
        assert live(messages.ServerReadyRequest(), timeout=30).ready


def test_a_port_that_is_taken_is_refused(service: RunningService, package: Path) -> None:
    taken = service.addresses.http_port
    with pytest.raises(ConfigError, match=f"free address of this machine, got 127.0.0.1:{taken}"):
        start_service(config_of(package, http={"port": taken}))


def test_another_package_is_rolled_out_without_a_failed_request(service: RunningService, package: Path) -> None:
    old = load_package(str(package)).digest
    with load_on(service.addresses.url, IMAGES) as load:
        load.wait_for(20)
        tiny_classifier(package, seed=1)
        service.deploy(service.config)
        load.wait_for(20)
    new = load_package(str(package)).digest
    assert load.broken == []
    assert set(load.statuses) == {200}
    assert set(load.digests) == {old, new}
    assert load.digests[0] == old
    assert load.digests[-1] == new


def test_a_package_that_does_not_work_changes_nothing(service: RunningService, tmp_path: Path) -> None:
    broken = tiny_classifier(tmp_path)
    (broken / "tiny.onnx").write_bytes(b"no graph")
    before = ask(service.addresses.url, IMAGES[0])[1]["model_digest"]
    with pytest.raises((ConfigError, JobError, ModelError), match=r"ONNX|graph"):
        service.deploy(config_of(broken))
    with load_on(service.addresses.url, IMAGES) as load:
        load.wait_for(10)
    assert set(load.digests) == {before}


def test_a_killed_process_is_replaced(service: RunningService, package: Path) -> None:
    service.deploy(config_of(package))
    (pid,) = replica_pids("edge")
    os.kill(pid, signal.SIGKILL)
    with load_on(service.addresses.url, IMAGES, clients=2) as load:
        load.wait_for(20)
    assert set(load.statuses) == {200}, "connections are refused meanwhile, and nothing else is told"
    assert replica_pids("edge") != {pid}


def test_split_a_killed_model_replica_costs_nobody_the_answer(service: RunningService, package: Path) -> None:
    config = config_of(package, layout="split")
    models = (config.models[0].model_copy(update={"replicas": 2}),)
    service.deploy(config.model_copy(update={"models": models}))
    status, body = ask(service.addresses.url, IMAGES[0])
    expected = Predictor.load(str(package), device="cpu", num_threads=1).predict(IMAGES[0])
    assert status == 200
    assert body["prediction"]["score"] == pytest.approx(float(expected.result.scores[0]))  # type: ignore[union-attr]
    with load_on(service.addresses.url, IMAGES) as load:
        load.wait_for(20)
        os.kill(min(replica_pids("model-0-tiny")), signal.SIGKILL)
        load.wait_for(50)
    assert load.broken == []
    assert set(load.statuses) <= {200, 503}, load.bodies[:3]


def test_a_process_whose_device_is_lost_is_replaced(service: RunningService, tmp_path: Path) -> None:
    folder = hooked_classifier(tmp_path, output__decoder=hook("lose_device"))
    service.deploy(config_of(folder))
    pids = replica_pids("edge")
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert ask(service.addresses.url, IMAGES[0])[0] == 200
    assert ask(service.addresses.url, encode_image(red))[0] != 200
    status, body = ask(service.addresses.url, IMAGES[1])
    assert (status, body["detail"]) == (503, str(broken_error()))
    with load_on(service.addresses.url, IMAGES, clients=1) as load:
        load.wait_for(3)
    assert set(load.statuses) == {200, 503}
    assert not pids & replica_pids("edge")


def test_the_file_for_serve_deploy_deploys(local_ray: None, service: RunningService, package: Path) -> None:
    data = yaml.safe_load((ROOT / "serve" / "deploy.yaml").read_text())
    (application,) = data["applications"]
    arguments = application["args"]
    assert (ROOT / arguments["models"][0]["package"] / "model.yaml").is_file()
    arguments["models"] = [{"package": str(package), "concurrent_batches": 1}]
    arguments["http"]["port"], arguments["grpc"]["port"] = service.addresses.http_port, service.addresses.grpc_port
    application["runtime_env"] = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    client = serve.context._get_global_client()
    client.deploy_apps(ServeDeploySchema.model_validate(data))
    deadline_s = time.monotonic() + 90
    while serve.status().applications[APPLICATION].status != "RUNNING":
        assert time.monotonic() < deadline_s, serve.status()
        time.sleep(0.2)
    assert ask(service.addresses.url, IMAGES[0])[1]["model"] == "tiny-classification"


def test_the_manifest_for_kuberay_holds_settings_that_are_right() -> None:
    manifest = yaml.safe_load((ROOT / "serve" / "rayservice.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayService")
    deployed = ServeDeploySchema.model_validate(yaml.safe_load(manifest["spec"]["serveConfigV2"]))
    (application,) = deployed.applications
    config = build_settings(ServeConfig, application.args, origin="args")
    assert application.import_path == "serve.app:build"
    assert config.http.port == deployed.http_options.port
    assert manifest["spec"]["rayClusterConfig"]["rayVersion"] == ray.__version__


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``millrace serve`` until the block ends, and where it answers."""
    code = "from inference_core.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "serve", *arguments, "--port", "0", "--grpc-port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None, "it was asked for"
        assert process.stderr is not None, "likewise"
        first = process.stdout.readline()
        assert first.startswith("HTTP at "), first + process.stderr.read()
        assert process.stdout.readline().startswith("gRPC at ")
        assert process.stdout.readline() == "ready\n"
        try:
            yield process, first.removeprefix("HTTP at ").strip()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


@pytest.mark.parametrize("listener", ["direct", "serve"])
def test_the_command_finishes_what_it_accepted_and_says_that_it_was_stopped(package: Path, listener: str) -> None:
    with command(str(package), "--set", "num_cpus=2", "--set", f"listener={listener}") as (process, url):
        with load_on(url, IMAGES, clients=2) as load:
            load.wait_for(10)
            if listener == "direct":
                process.send_signal(signal.SIGHUP)
                assert process.stdout is not None, "it was asked for"
                assert process.stdout.readline() == "reloaded\n"
                load.wait_for(10)
            process.terminate()
            assert process.wait(60) == 143
        assert set(load.statuses) <= {200, 503}, load.bodies[:3]
        if listener == "direct":  # Ray Serve's own proxies cut connections off
            assert all("refused" in text for text in load.broken), load.broken


def test_the_command_says_what_is_wrong_before_it_starts_anything(tmp_path: Path) -> None:
    code = "from inference_core.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "serve", str(tmp_path), "--set", "http.prot=1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "did you mean 'port'" in ended.stderr
    assert json.dumps(ended.stdout) == '""'
