"""How busy and how full a worker's GPU is, through NVML where that is installed and the machine has one."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import Any

from inference_core.validation import Frozen

SAMPLE_INTERVAL_S = 0.5
"""NVML's own figure covers the last sixth of a second to second, by the kind of GPU."""
VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
"""Ray sets it for an actor to the GPUs that it reserved."""


class GpuUse(Frozen):
    """A GPU as a worker saw it while it worked on a shard; all of its processes count, also those of others."""

    host: str
    gpu: str
    """NVML's index on that machine."""
    name: str
    busy_frac: float | None = None
    """Share of the time in which a kernel ran; None where the GPU does not tell, as a part of one (MIG) does not."""
    used_bytes: int | None = None
    """Most memory in use."""
    total_bytes: int | None = None


class GpuWatch:
    """Looks at the GPU of this process now and then, on a thread of its own, until the process ends.

    Args:
        nvml: NVML's Python module, begun.
        handle: NVML's of the GPU.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._lock = threading.Lock()
        self._busy: list[float] = []
        self._used_bytes: list[int] = []
        self._name = as_text(nvml.nvmlDeviceGetName(handle))
        self._index = str(nvml.nvmlDeviceGetIndex(handle))
        threading.Thread(target=self._look_on, name="gpu-watch", daemon=True).start()

    def take(self) -> GpuUse:
        """What was seen since the last call, and now."""
        total_bytes = self._look()
        with self._lock:
            busy, self._busy = self._busy, []
            used_bytes, self._used_bytes = self._used_bytes, []
        return GpuUse(
            host=socket.gethostname(),
            gpu=self._index,
            name=self._name,
            busy_frac=sum(busy) / len(busy) if busy else None,
            used_bytes=max(used_bytes, default=None),
            total_bytes=total_bytes,
        )

    def _look(self) -> int | None:
        """Take note of how the GPU is now; the memory that it has, None where it does not tell."""
        nvml, total_bytes = self._nvml, None
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(self._handle)
            total_bytes = int(memory.total)
            with self._lock:
                self._used_bytes.append(int(memory.used))
            busy = nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100
            with self._lock:
                self._busy.append(busy)
        except nvml.NVMLError:  # not of this kind of GPU, or it is gone: then CUDA tells
            pass
        return total_bytes

    def _look_on(self) -> None:
        pause = threading.Event()
        while not pause.wait(SAMPLE_INTERVAL_S):
            self._look()


def watch_gpu() -> GpuWatch | None:
    """A watch of the GPU that this process uses; None where NVML is not installed or finds none."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return GpuWatch(pynvml, find_handle(pynvml, os.environ.get(VISIBLE_DEVICES, "")))
    except pynvml.NVMLError:
        return None


def watch_gpus() -> tuple[GpuWatch, ...]:
    """Watches of all GPUs that this process may use, of the whole machine where nobody said; none without NVML."""
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
        chosen = [name for name in os.environ.get(VISIBLE_DEVICES, "").split(",") if name.strip()]
        names = chosen or [str(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return tuple(GpuWatch(pynvml, find_handle(pynvml, name)) for name in names)
    except pynvml.NVMLError:
        return ()


def find_handle(nvml: Any, visible: str) -> Any:
    """NVML's handle of the first GPU that a process may use.

    Args:
        nvml: its Python module, begun.
        visible: indices or UUIDs as CUDA takes them; "" for all.
    """
    first = visible.split(",")[0].strip()
    if first and not first.isdigit():
        return nvml.nvmlDeviceGetHandleByUUID(first)
    return nvml.nvmlDeviceGetHandleByIndex(int(first or 0))


def torch_peak_bytes() -> int | None:
    """Most memory of the GPU that torch's tensors took in this process; None where torch uses none."""
    torch = sys.modules.get("torch")  # of another engine's worker: never loaded
    if torch is None or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_allocated())


def as_text(name: str | bytes) -> str:
    """A name as every version of NVML's module gives it."""
    return name.decode(errors="replace") if isinstance(name, bytes) else name
