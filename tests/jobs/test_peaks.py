from __future__ import annotations

from itertools import permutations

import pytest

from inference_core.gpu_use import GpuUse
from jobs.peaks import PeakFold, Peaks, most
from jobs.worker_facts import WorkerFacts, read_facts, write_facts

GPU = GpuUse(host="a", gpu="0", name="H100", busy_frac=0.5, used_bytes=10, total_bytes=100)
SHARDS = (
    (WorkerFacts(pool="prepare", peak_bytes=5), WorkerFacts(pool="infer", peak_bytes=9, gpu_peak_bytes=3, gpu=GPU)),
    (WorkerFacts(pool="prepare", peak_bytes=7), WorkerFacts(pool="infer", peak_bytes=8, num_oom_halvings=2)),
    (
        WorkerFacts(pool="prepare"),
        WorkerFacts(pool="infer", gpu_peak_bytes=2, gpu=GPU.model_copy(update={"busy_frac": 1.0, "used_bytes": 20})),
    ),
)


def test_nobody_tells_nothing() -> None:
    peaks = PeakFold().peaks(driver_bytes=None)
    assert peaks == Peaks()
    assert peaks.text == ""


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_largest_of_each_pool_counts_in_any_order(order: tuple[int, ...]) -> None:
    fold = PeakFold()
    for index in order:
        fold.add(SHARDS[index])
    peaks = fold.peaks(driver_bytes=4_000_000)
    assert peaks.bytes_by_pool == {"infer": 9, "prepare": 7}
    assert (peaks.gpu_tensor_bytes, peaks.num_oom_halvings) == (3, 2)
    (gpu,) = peaks.gpus
    assert (gpu.host, gpu.gpu, gpu.busy_frac, gpu.used_bytes, gpu.total_bytes) == ("a", "0", 0.75, 20, 100)
    assert peaks.text == "command 4 MB, infer 9 B each at most, prepare 7 B each at most"


def test_gpus_are_told_apart_by_machine_and_number() -> None:
    fold = PeakFold()
    for host, gpu in [("b", "0"), ("a", "1"), ("a", "0")]:
        use = GPU.model_copy(update={"host": host, "gpu": gpu, "busy_frac": None})
        fold.add([WorkerFacts(pool="infer", gpu=use)])
    gpus = fold.peaks(driver_bytes=None).gpus
    assert [(gpu.host, gpu.gpu) for gpu in gpus] == [("a", "0"), ("a", "1"), ("b", "0")]
    assert {gpu.busy_frac for gpu in gpus} == {None}


@pytest.mark.parametrize(("counts", "expected"), [((), None), ((None,), None), ((None, 2, 1), 2)], ids=str)
def test_what_is_not_known_does_not_count(counts: tuple[int | None, ...], expected: int | None) -> None:
    assert most(*counts) == expected


def test_facts_are_read_as_they_were_written() -> None:
    for facts in ((), *SHARDS):
        assert read_facts(write_facts(facts)) == facts
