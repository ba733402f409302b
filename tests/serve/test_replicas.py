"""How many processes a service has where nobody says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve.config import ServeConfig
from serve.deployments import cores_of_one
from serve.local_backend import LocalBackend
from serve.model_server import default_queue
from serve.predict_images import MAX_UNDER_WAY
from serve.replicas import PROCESS_BYTES, WEIGHTS_FACTOR, free_memory_bytes, package_bytes, with_replicas
from tests.tiny_models import tiny_classifier

MB = 1024 * 1024


def config_of(*models: dict[str, Any], **settings: Any) -> ServeConfig:
    return ServeConfig.model_validate({"models": list(models), "cache_bytes": 0, **settings})


@pytest.fixture
def package(tmp_path: Path) -> str:
    """30 MB in two files."""
    (tmp_path / "package" / "deep").mkdir(parents=True)
    (tmp_path / "package" / "weights").write_bytes(bytes(20 * MB))
    (tmp_path / "package" / "deep" / "more").write_bytes(bytes(10 * MB))
    return str(tmp_path / "package")


@pytest.mark.parametrize(
    ("num_cpus", "free_bytes", "expected"),
    [
        pytest.param(4, None, 4, id="memory-unknown"),
        pytest.param(4, 64 * 1024 * MB, 4, id="one-a-core"),
        pytest.param(1, 64 * 1024 * MB, 1, id="one-core"),
        pytest.param(8, 2 * 3 * (PROCESS_BYTES + WEIGHTS_FACTOR * 30 * MB), 3, id="as-memory-goes"),
        pytest.param(8, 1, 1, id="no-memory"),
    ],
)
def test_replicas_are_as_many_as_cores_as_far_as_memory_goes(
    package: str, num_cpus: int, free_bytes: int | None, expected: int
) -> None:
    config = with_replicas(config_of({"package": package}), num_cpus=num_cpus, free_bytes=free_bytes)
    assert config.models[0].replicas == config.num_edges == expected


def test_what_was_said_stays(package: str) -> None:
    config = config_of({"package": package, "replicas": 2}, {"package": package})
    found = with_replicas(config, num_cpus=8, free_bytes=None)
    assert [model.replicas for model in found.models] == [2, 8]
    assert with_replicas(config_of({"package": package, "replicas": 3}), num_cpus=8, free_bytes=None).num_edges == 3


def test_lazy_models_take_no_memory_before_they_are_wanted(package: str) -> None:
    free = 2 * 2 * PROCESS_BYTES
    lazy = with_replicas(config_of({"package": package, "is_lazy": True}), num_cpus=8, free_bytes=free)
    eager = with_replicas(config_of({"package": package}), num_cpus=8, free_bytes=free)
    assert (lazy.num_edges, eager.num_edges) == (2, 1)


def test_a_package_is_as_large_as_its_files(package: str) -> None:
    assert package_bytes(package) == 30 * MB
    assert package_bytes(f"{package}/weights") == 20 * MB
    assert package_bytes("resnet18") == 0


def test_the_machine_tells_its_memory() -> None:
    free = free_memory_bytes()
    assert free is None or 10 * MB < free < 1 << 50


@pytest.mark.parametrize(("replicas", "expected"), [(1, 8), (2, 8), (4, 4), (8, 2), (16, 1)])
def test_processes_share_the_cores(replicas: int, expected: int) -> None:
    assert cores_of_one(config_of({"package": "p", "replicas": replicas}, num_cpus=8)) == expected


@pytest.mark.parametrize(
    ("capacity", "replicas", "expected"), [(4, 1, 16), (2, 4, 3), (1, 8, 4), (64, 1, 256), (8, 2, 16)]
)
def test_few_wait_and_always_one_call_of_several(capacity: int, replicas: int, expected: int) -> None:
    found = default_queue(capacity, num_replicas=replicas)
    assert found == expected
    assert capacity + found >= MAX_UNDER_WAY


def test_processes_share_the_memory_for_answers(tmp_path: Path) -> None:
    package = {"package": str(tiny_classifier(tmp_path))}
    one = LocalBackend.load(config_of(package, cache_bytes=4 * MB), num_cpus=1)
    four = LocalBackend.load(config_of(package | {"replicas": 4}, cache_bytes=4 * MB), num_cpus=1)
    assert (one.cache.max_bytes, four.cache.max_bytes) == (4 * MB, MB)
