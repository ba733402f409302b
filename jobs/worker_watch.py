"""How a worker watches itself: what it tells after each shard."""

from __future__ import annotations

from typing import Protocol

from inference_core.gpu_use import torch_peak_bytes, watch_gpu
from inference_core.runner import Runner
from jobs.peak_memory import process_peak_bytes
from jobs.worker_facts import WorkerFacts


class SelfWatch(Protocol):
    """Tells what is to be told of this process."""

    def tell(self) -> WorkerFacts:
        """How the process stands; counts and the GPU's use are those since the last call."""


class ProcessWatch:
    """Tells of a process without a model."""

    def __init__(self, pool: str) -> None:
        self._pool = pool

    def tell(self) -> WorkerFacts:
        """How the process stands."""
        return WorkerFacts(pool=self._pool, peak_bytes=process_peak_bytes())


class ModelWatch:
    """Tells of a process that holds the model.

    Args:
        pool: of the process.
        runner: counts what did not fit the device.
    """

    def __init__(self, pool: str, runner: Runner) -> None:
        self._pool = pool
        self._runner = runner
        self._num_oom_halvings = 0
        self._gpu = watch_gpu() if runner.engine_facts.device.startswith("cuda") else None

    def tell(self) -> WorkerFacts:
        """How the process stands."""
        before, self._num_oom_halvings = self._num_oom_halvings, self._runner.num_oom_halvings
        return WorkerFacts(
            pool=self._pool,
            peak_bytes=process_peak_bytes(),
            gpu_peak_bytes=torch_peak_bytes(),
            num_oom_halvings=self._num_oom_halvings - before,
            gpu=self._gpu.take() if self._gpu else None,
        )
