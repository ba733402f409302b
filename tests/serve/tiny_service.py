"""Models of a few kilobytes behind the service's own backend, for tests of what stands in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from serve.config import ServeConfig
from serve.local_backend import LocalBackend
from tests.tiny_models import tiny_classifier, tiny_segmenter

Found = TypeVar("Found")

TASKS = ("classification", "segmentation", "multilabel", "embedding")


def tiny_packages(folder: Path) -> dict[str, Path]:
    """A package for each of TASKS; all but segmentation share a graph that tells colours apart."""
    packages = {"segmentation": tiny_segmenter(folder / "segmentation")}
    for task, output in (
        ("classification", {"top_k": 2}),
        ("multilabel", {"activation": "sigmoid", "top_k": 2, "threshold": 0.6}),
        ("embedding", {"l2_normalize": True}),
    ):
        packages[task] = tiny_classifier(folder / task)
        spec = yaml.safe_load((folder / task / "model.yaml").read_text())
        spec |= {"name": f"tiny-{task}", "task": task, "output": output}
        if task == "embedding":
            del spec["classes"]
        (folder / task / "model.yaml").write_text(yaml.safe_dump(spec))
    return packages


def tiny_config(folder: Path, **settings: Any) -> ServeConfig:
    """A service of all of them, on free ports and without a cache."""
    packages = tiny_packages(folder)
    models = [{"package": str(packages[task]), "concurrent_batches": 1, "num_threads": 1} for task in TASKS]
    return ServeConfig.model_validate(
        {"models": models, "http": {"port": 0}, "grpc": {"port": 0}, "cache_bytes": 0, **settings}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyService:
    """A backend and the loop that it lives on."""

    backend: LocalBackend
    config: ServeConfig
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, Found]) -> Found:
        """The result of something that awaits the backend."""
        return self.runner.run(work)


@contextmanager
def tiny_service(folder: Path, **settings: Any) -> Iterator[TinyService]:
    """All tiny models, loaded."""
    config = tiny_config(folder, **settings)
    backend = LocalBackend.load(config, num_cpus=1)
    with asyncio.Runner() as runner:
        yield TinyService(backend=backend, config=config, runner=runner)
        runner.run(backend.close())
