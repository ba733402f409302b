"""Whole commands and a real Ray."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _ray_without_tokens() -> Iterator[None]:
    """Ray starts alike whatever ran on this machine before: without tokens, and not on a cluster that is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture(scope="module")
def local_ray(_ray_without_tokens: None) -> Iterator[None]:
    """One Ray of four logical CPUs for a module, which runs in this process reuse."""
    import ray

    ray.init(
        address="local",  # not whatever cluster runs on this machine
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=256 * 1024 * 1024,
    )
    yield
    ray.shutdown()
