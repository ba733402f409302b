"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.s3_loopback import S3Server

# How long an example takes says more about the machine, which others use too, than about the code.
settings.register_profile("millrace", deadline=None)
settings.load_profile("millrace")

ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"


MAX_WORKERS = 3
"""Of ``-n auto``: each holds torch and other engines, some 1.5 GB, and starts runs of Ray that take several cores."""
MORE_THAN_CORES = 1
"""Runs of Ray wait as long as they work: for processes to start, to be found dead, to be timed out."""


def pytest_xdist_auto_num_workers() -> int:
    """How many processes ``-n auto`` takes: by the cores that this one may use, also in a container."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no limit, which reads "max", or another kind of system
    return min(cores + MORE_THAN_CORES, MAX_WORKERS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In the processes of ``-n``: what waits for Ray and servers begins first, and the short tests fill the rest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: "integration" not in item.path.parts)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real photographs and weights beside the repository."""
    if not (ASSETS / "index.json").is_file():
        message = "the shared assets are absent: put them at ../shared/assets beside the repository"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return ASSETS


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """The CPU and the first GPU, one test each; with REQUIRE_GPU=1 an absent GPU fails."""
    name = str(request.param)
    if name == "cuda":
        import torch  # here, because most tests do without

        if not torch.cuda.is_available():
            message = "there is no CUDA device for this test"
            if os.environ.get("REQUIRE_GPU") == "1":
                pytest.fail(message)
            pytest.skip(message)
    return name


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server on loopback that this process and its children use, and that counts requests."""
    from tests.s3_loopback import s3_server as run_s3_server  # here, because moto takes a second to import

    with run_s3_server() as server, server.environment():
        yield server


@pytest.fixture(scope="session")
def s3_bucket(s3_server: S3Server) -> str:
    """URI of a bucket on the loopback server, shared by all tests: write below a prefix of your own."""
    return s3_server.make_bucket("millrace-tests")
