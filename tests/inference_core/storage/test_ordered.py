from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from inference_core.storage.ordered import map_in_order


@pytest.mark.parametrize("concurrency", [1, 2, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_results_come_in_order_whatever_finishes_first(count: int, concurrency: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.002 * (item % 3 == 0))
        return item * item

    with ThreadPoolExecutor(4) as pool:
        results = list(map_in_order(lambda item: pool.submit(work, item), range(count), concurrency=concurrency))
    assert results == [item * item for item in range(count)]


def test_at_most_concurrency_items_are_submitted_and_not_yielded() -> None:
    submitted: list[int] = []

    def submit(item: int) -> Future[int]:
        submitted.append(item)
        future: Future[int] = Future()
        future.set_result(item)
        return future

    results = map_in_order(submit, iter(range(100)), concurrency=5)
    assert submitted == []
    assert next(results) == 0
    assert submitted == [0, 1, 2, 3, 4, 5]


def test_an_error_is_raised_in_its_place_and_pending_work_is_cancelled() -> None:
    release = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            raise ValueError("item 1")
        if item > 1:
            release.wait(5)
        return item

    started: list[Future[int]] = []
    with ThreadPoolExecutor(2) as pool:

        def submit(item: int) -> Future[int]:
            started.append(pool.submit(work, item))
            return started[-1]

        results: Iterator[int] = map_in_order(submit, range(50), concurrency=8)
        assert next(results) == 0
        with pytest.raises(ValueError, match="item 1"):
            next(results)
        release.set()
    assert sum(future.cancelled() for future in started) >= 4


def test_closing_early_cancels_what_is_pending() -> None:
    release = threading.Event()
    started: list[Future[object]] = []
    with ThreadPoolExecutor(1) as pool:

        def submit(item: int) -> Future[object]:
            started.append(pool.submit(release.wait if item else int))
            return started[-1]

        results = map_in_order(submit, range(10), concurrency=4)
        next(results)
        results.close()  # type: ignore[attr-defined]
        release.set()
    assert sum(future.cancelled() for future in started) >= 2
