from __future__ import annotations

import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pynvml
import pytest

from inference_core import gpu_use
from inference_core.gpu_use import GpuWatch, torch_peak_bytes, watch_gpu


class Nvml(ModuleType):
    """NVML's module on a machine with two GPUs; tests here run without one."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *, busy_percent: list[int] | None = None) -> None:
        super().__init__("pynvml")
        self.busy_percent = busy_percent
        self.asked: list[Any] = []

    def nvmlInit(self) -> None:  # noqa: N802 - as NVML calls it
        self.asked.append("init")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index > 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return {"GPU-a": 0, "GPU-b": 1}[uuid]

    def nvmlDeviceGetName(self, handle: int) -> str | bytes:  # noqa: N802
        return b"H100" if handle else "H100"

    def nvmlDeviceGetIndex(self, handle: int) -> int:  # noqa: N802
        return handle

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        self.asked.append(handle)
        return SimpleNamespace(total=1000, used=100 + 10 * self.asked.count(handle))

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        if self.busy_percent is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=self.busy_percent.pop(0) if len(self.busy_percent) > 1 else self.busy_percent[0])


@pytest.fixture(autouse=True)
def _slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_use, "SAMPLE_INTERVAL_S", 3600.0)  # the thread never looks; tests do


def has_nvml() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


def test_a_machine_without_a_gpu_has_nothing_to_watch() -> None:
    if has_nvml():
        pytest.skip("this machine has a GPU")
    assert watch_gpu() is None  # NVML's own "library not found"


def test_a_gpu_is_watched() -> None:
    if not has_nvml():
        pytest.skip("this machine has no GPU")
    watch = watch_gpu()
    assert watch is not None
    use = watch.take()
    assert use.total_bytes is not None
    assert use.used_bytes is not None
    assert 0 <= use.used_bytes <= use.total_bytes


def test_an_absent_library_is_nothing_to_complain_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert watch_gpu() is None


@pytest.mark.parametrize(
    ("visible", "gpu"),
    [
        pytest.param(None, "0", id="all"),
        pytest.param("1", "1", id="an-index"),
        pytest.param("1,0", "1", id="the-first-of-several"),
        pytest.param("GPU-b", "1", id="a-uuid"),
    ],
)
def test_the_gpu_is_the_one_that_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, gpu: str
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(busy_percent=[50]))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    watch = watch_gpu()
    assert watch is not None
    assert (watch.take().gpu, watch.take().name) == (gpu, "H100")


def test_a_gpu_that_nvml_does_not_know_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert watch_gpu() is None


def test_what_is_told_is_the_mean_and_the_most_since_the_last_time() -> None:
    watch = GpuWatch(Nvml(busy_percent=[100, 50, 0, 20]), 1)
    watch._look()
    watch._look()
    use = watch.take()
    assert (use.busy_frac, use.used_bytes, use.total_bytes) == (0.5, 130, 1000)
    use = watch.take()
    assert (use.busy_frac, use.used_bytes) == (0.2, 140)


def test_a_part_of_a_gpu_tells_its_memory_alone() -> None:
    use = GpuWatch(Nvml(busy_percent=None), 0).take()
    assert (use.busy_frac, use.used_bytes) == (None, 110)


def test_the_watch_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_use, "SAMPLE_INTERVAL_S", 0.001)
    nvml = Nvml(busy_percent=[50])
    GpuWatch(nvml, 0)
    deadline_s = time.monotonic() + 30
    while nvml.asked.count(0) < 3 and time.monotonic() < deadline_s:
        time.sleep(0.001)
    assert nvml.asked.count(0) >= 3


def test_torch_tells_only_where_it_uses_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert torch_peak_bytes() is None
    cuda = SimpleNamespace(is_initialized=lambda: False, max_memory_allocated=lambda: 123)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert torch_peak_bytes() is None
    cuda.is_initialized = lambda: True
    assert torch_peak_bytes() == 123
