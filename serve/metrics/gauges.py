"""What is looked up when somebody asks, rather than counted: models, queues, GPU and memory."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from inference_core.gpu_use import GpuWatch, watch_gpus
from serve.backend import Backend
from serve.metrics.names import (
    CPU_SECONDS,
    GPU_BUSY,
    GPU_TOTAL,
    GPU_USED,
    MODEL_LOADED,
    QUEUED_IMAGES,
    RESIDENT_BYTES,
)
from serve.metrics.tally import Snapshot

STATM = Path("/proc/self/statm")


@runtime_checkable
class HasQueues(Protocol):
    """A backend that knows how many images wait."""

    def queued_images(self) -> Mapping[str, int]:
        """By model."""


class Gauges:
    """Looks at what this process serves and uses.

    Args:
        backend: knows the models, and maybe what waits for them.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._gpus: tuple[GpuWatch, ...] = ()
        # Nobody waits for NVML: it takes seconds on some machines.
        threading.Thread(target=self._find_gpu, name="gpu-find", daemon=True).start()

    async def fill(self, snapshot: Snapshot) -> None:
        """Add what is seen now."""
        values = snapshot.values
        values[MODEL_LOADED.name] = {
            (model.name, model.version, model.engine): float(model.is_ready) for model in await self._backend.models()
        }
        if isinstance(self._backend, HasQueues):
            values[QUEUED_IMAGES.name] = {(name,): float(n) for name, n in self._backend.queued_images().items()}
        values[RESIDENT_BYTES.name] = {(): float(resident_bytes())}
        values[CPU_SECONDS.name] = {(): cpu_seconds()}
        for use in [watch.take() for watch in self._gpus]:
            told = ((GPU_BUSY, use.busy_frac), (GPU_USED, use.used_bytes), (GPU_TOTAL, use.total_bytes))
            for metric, value in told:
                if value is not None:
                    values.setdefault(metric.name, {})[use.host, use.gpu, use.name] = float(value)

    def _find_gpu(self) -> None:
        self._gpus = watch_gpus()


def resident_bytes() -> int:
    """Memory of this process; its peak where the system does not tell the present."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def cpu_seconds() -> float:
    """Processor time of this process."""
    times = os.times()
    return times.user + times.system
