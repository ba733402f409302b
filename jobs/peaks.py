"""The most that any process, and any GPU, of a run had in use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inference_core.gpu_use import GpuUse
from jobs.report.number_text import bytes_text
from jobs.worker_facts import WorkerFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPeak:
    """One GPU over a run."""

    host: str
    gpu: str
    """NVML's index on that machine."""
    name: str
    busy_frac: float | None
    """Mean over the shards of the share of the time in which a kernel ran."""
    used_bytes: int | None
    """Most memory in use, of all processes."""
    total_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The most that a run had in use."""

    driver_bytes: int | None = None
    """Resident memory of the command; None where it was killed, or its system does not tell."""
    bytes_by_pool: Mapping[str, int] = field(default_factory=dict)
    """Resident memory of the largest process of each pool, by the pool's name."""
    gpu_tensor_bytes: int | None = None
    """Of a GPU, by torch's tensors of one process; None where torch used none."""
    gpus: tuple[GpuPeak, ...] = ()
    """Of machines where NVML is installed, by host and index."""
    num_oom_halvings: int = 0
    """Forwards that did not fit the device and were halved."""

    @property
    def text(self) -> str:
        """The largest processes in a line, "" where none is known."""
        sizes = ({"command": self.driver_bytes} if self.driver_bytes else {}) | dict(self.bytes_by_pool)
        return ", ".join(
            f"{name} {bytes_text(size)}" + (" each at most" if name != "command" else "")
            for name, size in sizes.items()
        )


class PeakFold:
    """Folds what workers tell, shard by shard."""

    def __init__(self) -> None:
        self._bytes_by_pool: dict[str, int] = {}
        self._gpu_tensor_bytes: int | None = None
        self._num_oom_halvings = 0
        self._gpus: dict[tuple[str, str], list[GpuUse]] = {}

    def add(self, workers: Iterable[WorkerFacts]) -> None:
        """Fold who worked on a shard."""
        for facts in workers:
            if facts.peak_bytes is not None:
                self._bytes_by_pool[facts.pool] = max(facts.peak_bytes, self._bytes_by_pool.get(facts.pool, 0))
            self._gpu_tensor_bytes = most(self._gpu_tensor_bytes, facts.gpu_peak_bytes)
            self._num_oom_halvings += facts.num_oom_halvings
            if facts.gpu is not None:
                self._gpus.setdefault((facts.gpu.host, facts.gpu.gpu), []).append(facts.gpu)

    def peaks(self, *, driver_bytes: int | None) -> Peaks:
        """What all of them say."""
        return Peaks(
            driver_bytes=driver_bytes,
            bytes_by_pool=dict(sorted(self._bytes_by_pool.items())),
            gpu_tensor_bytes=self._gpu_tensor_bytes,
            gpus=tuple(gpu_peak(uses) for _, uses in sorted(self._gpus.items())),
            num_oom_halvings=self._num_oom_halvings,
        )


def gpu_peak(uses: list[GpuUse]) -> GpuPeak:
    """A GPU over all shards that were worked on with it, at least one."""
    busy = [use.busy_frac for use in uses if use.busy_frac is not None]
    return GpuPeak(
        host=uses[0].host,
        gpu=uses[0].gpu,
        name=uses[0].name,
        busy_frac=sum(busy) / len(busy) if busy else None,
        used_bytes=most(*(use.used_bytes for use in uses)),
        total_bytes=most(*(use.total_bytes for use in uses)),
    )


def most(*counts: int | None) -> int | None:
    """The largest of those that are known; None where none is."""
    return max((count for count in counts if count is not None), default=None)
