from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from inference_core.engines.overlap import overlap
from inference_core.errors import DeviceMemoryError, EngineError


class Device:
    """Writes down what happens; batches are numbers, and results ten times that.

    Args:
        fails: what to raise, by what happens.
    """

    def __init__(self, **fails: Exception) -> None:
        self.fails = fails
        self.log: list[str] = []

    def begin(self, batch: int) -> Callable[[], int]:
        self._do(f"begin{batch}")

        def wait() -> int:
            self._do(f"wait{batch}")
            return 10 * batch

        return wait

    def run(self, batch: int) -> int:
        self._do(f"run{batch}")
        return 10 * batch

    def cut(self, count: int) -> Iterator[int]:
        for batch in range(count):
            self.log.append(f"cut{batch}")
            yield batch

    def _do(self, what: str) -> None:
        self.log.append(what)
        if what in self.fails:
            raise self.fails[what]


@pytest.mark.parametrize(
    ("count", "log"),
    [
        pytest.param(0, "", id="none"),
        pytest.param(1, "cut0 begin0 wait0", id="one"),
        pytest.param(3, "cut0 begin0 cut1 begin1 wait0 cut2 begin2 wait1 wait2", id="three"),
    ],
)
def test_each_is_begun_before_the_one_before_it_is_waited_for(count: int, log: str) -> None:
    device = Device()
    assert list(overlap(device.cut(count), begin=device.begin, run=device.run)) == [10 * n for n in range(count)]
    assert " ".join(device.log) == log


@pytest.mark.parametrize("error", [DeviceMemoryError("out of memory"), EngineError("no")], ids=["memory", "refused"])
@pytest.mark.parametrize(
    ("where", "log"),
    [
        pytest.param("begin0", "cut0 begin0 run0 cut1 begin1 cut2 begin2 wait1 wait2", id="first"),
        pytest.param("begin1", "cut0 begin0 cut1 begin1 wait0 run1 cut2 begin2 wait2", id="begun-nothing-else-is"),
        pytest.param("wait1", "cut0 begin0 cut1 begin1 wait0 cut2 begin2 wait1 run1 wait2", id="waited-for"),
        pytest.param("wait2", "cut0 begin0 cut1 begin1 wait0 cut2 begin2 wait1 wait2 run2", id="last"),
    ],
)
def test_a_batch_that_fails_is_run_alone_and_the_order_is_kept(error: Exception, where: str, log: str) -> None:
    device = Device(**{where: error})
    assert list(overlap(device.cut(3), begin=device.begin, run=device.run)) == [0, 10, 20]
    assert " ".join(device.log) == log


@pytest.mark.parametrize("where", ["begin1", "wait1", "run1"])
def test_a_bug_is_not_taken_for_a_bad_batch(where: str) -> None:
    device = Device(**{where: KeyError("bug")}, begin1=EngineError("no")) if where == "run1" else Device(
        **{where: KeyError("bug")}
    )  # fmt: skip
    with pytest.raises(KeyError, match="bug"):
        list(overlap(device.cut(3), begin=device.begin, run=device.run))
