from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from serve.batch_queue import BatchQueue, Deadline, settle_all
from serve.batch_workers import MORE_NICENESS, BatchWorkers
from serve.errors import DeadlineError, InternalError

FOREVER = Deadline()


def test_takes_the_oldest_first_and_no_more_than_asked() -> None:
    async def scenario() -> list[list[int]]:
        queue: BatchQueue[int, int] = BatchQueue()
        for number in range(5):
            queue.put(number, deadline=FOREVER)
        return [[entry.payload for entry in queue.take(max_size=2, wait_s=0)] for _ in range(3)]

    assert asyncio.run(scenario()) == [[0, 1], [2, 3], [4]]


def test_a_probe_overtakes() -> None:
    async def scenario() -> list[str]:
        queue: BatchQueue[str, int] = BatchQueue()
        queue.put("image", deadline=FOREVER)
        queue.put("probe", deadline=FOREVER, is_first=True)
        return [entry.payload for entry in queue.take(max_size=9, wait_s=0)]

    assert asyncio.run(scenario()) == ["probe", "image"]


def test_a_cancelled_entry_leaves_the_queue_and_its_memory() -> None:
    async def scenario() -> tuple[int, list[str]]:
        queue: BatchQueue[str, int] = BatchQueue()
        gone = queue.put("gone", deadline=FOREVER)
        queue.put("stays", deadline=FOREVER)
        gone.cancel()
        await asyncio.sleep(0)
        return len(queue), [entry.payload for entry in queue.take(max_size=9, wait_s=0)]

    assert asyncio.run(scenario()) == (1, ["stays"])


def test_an_entry_whose_time_is_over_is_told_so_and_not_run() -> None:
    async def scenario() -> tuple[list[str], BaseException | None]:
        queue: BatchQueue[str, int] = BatchQueue()
        late = queue.put("late", deadline=Deadline(at_s=time.time() - 1))
        queue.put("good", deadline=Deadline(at_s=time.time() + 60))
        taken = [entry.payload for entry in queue.take(max_size=9, wait_s=0)]
        await asyncio.sleep(0)
        return taken, late.exception()

    taken, error = asyncio.run(scenario())
    assert taken == ["good"]
    assert isinstance(error, DeadlineError)
    assert "time was over" in str(error)


@pytest.mark.parametrize(
    ("first", "second", "is_over"),
    [(-1.0, None, False), (None, -1.0, False), (-1.0, 60.0, False), (-1.0, -2.0, True)],
    ids=["joined by one who waits for ever", "for ever stays for ever", "joined by one who waits longer", "both late"],
)
def test_a_deadline_is_that_of_who_waits_longest(first: float | None, second: float | None, is_over: bool) -> None:
    now = time.time()
    deadline = Deadline(at_s=None if first is None else now + first)
    deadline.extend(None if second is None else now + second)
    assert deadline.is_over is is_over


def test_closing_lets_every_thread_end_after_the_work_is_done() -> None:
    async def scenario() -> list[int]:
        workers: BatchWorkers[int, int] = BatchWorkers(
            lambda entries: [2 * entry.payload for entry in entries], num_threads=3, batch_size=2
        )
        futures = [workers.queue.put(number, deadline=FOREVER) for number in range(20)]
        await asyncio.to_thread(workers.close)
        assert not any(thread.is_alive() for thread in workers._threads)
        return await asyncio.gather(*futures)

    assert asyncio.run(scenario()) == [2 * number for number in range(20)]


def test_a_batch_waits_for_more_entries_as_long_as_it_was_told() -> None:
    async def scenario() -> int:
        queue: BatchQueue[int, int] = BatchQueue()
        taken: list[int] = []
        thread = threading.Thread(target=lambda: taken.append(len(queue.take(max_size=2, wait_s=30))))
        queue.put(0, deadline=FOREVER)
        thread.start()
        await asyncio.sleep(0.05)
        queue.put(1, deadline=FOREVER)
        await asyncio.to_thread(thread.join)
        return taken[0]

    assert asyncio.run(scenario()) == 2


def test_what_a_batch_raises_is_told_without_its_text_and_the_thread_lives_on() -> None:
    def run(entries: object) -> list[int]:
        raise SystemExit("/secret/path")

    async def scenario() -> list[BaseException | None]:
        workers: BatchWorkers[int, int] = BatchWorkers(run, num_threads=1, batch_size=1)
        errors: list[BaseException | None] = []
        for number in range(2):
            future = workers.queue.put(number, deadline=FOREVER)
            await asyncio.wait([future])
            errors.append(future.exception())
        await asyncio.to_thread(workers.close)
        return errors

    errors = asyncio.run(scenario())
    assert [type(error) for error in errors] == [InternalError, InternalError]
    assert "secret" not in str(errors[0])


def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    async def scenario() -> bool:
        queue: BatchQueue[int, int] = BatchQueue()
        future = queue.put(0, deadline=FOREVER)
        entries = queue.take(max_size=1, wait_s=0)
        future.cancel()
        settle_all(entries, [1])
        await asyncio.sleep(0)
        return future.cancelled()

    assert asyncio.run(scenario())


def test_what_is_computed_makes_room_before_the_loop_knows_of_it() -> None:
    async def scenario() -> tuple[int, int, int]:
        begun, may_end = threading.Event(), threading.Event()

        def work(entries: object) -> list[int]:
            begun.set()
            may_end.wait(10)
            return [1]

        workers: BatchWorkers[int, int] = BatchWorkers(work, num_threads=1, batch_size=1)
        first = workers.queue.put(0, deadline=FOREVER)
        begun.wait(10)
        one = workers.num_open
        waiting = workers.queue.put(0, deadline=FOREVER)
        two = workers.num_open
        may_end.set()
        until_s = time.monotonic() + 10
        while workers.num_open and time.monotonic() < until_s:  # the loop's turn goes on meanwhile
            time.sleep(0.001)
        none = workers.num_open
        assert not first.done()
        await asyncio.gather(first, waiting)
        workers.close()
        return one, two, none

    assert asyncio.run(scenario()) == (1, 2, 0)


def test_workers_step_back_behind_the_loop() -> None:
    async def scenario() -> int:
        workers: BatchWorkers[int, int] = BatchWorkers(
            lambda entries: [os.getpriority(os.PRIO_PROCESS, threading.get_native_id())], num_threads=1, batch_size=1
        )
        found = await workers.queue.put(0, deadline=FOREVER)
        workers.close()
        return found

    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert asyncio.run(scenario()) == min(own + MORE_NICENESS, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == own
