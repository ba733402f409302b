from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from serve.answers import Answer
from serve.batch_queue import Deadline
from serve.errors import DeadlineError
from serve.flights import Flights

Begin = Callable[[Deadline], "asyncio.Future[Answer]"]


class Started:
    """Futures that were begun, for a test to settle."""

    def __init__(self) -> None:
        self.futures: list[asyncio.Future[Answer]] = []
        self.deadlines: list[Deadline] = []

    def __call__(self, deadline: Deadline) -> asyncio.Future[Answer]:
        self.futures.append(asyncio.get_running_loop().create_future())
        self.deadlines.append(deadline)
        return self.futures[-1]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_equal_requests_share_one_computation_and_others_do_not() -> None:
    async def scenario() -> None:
        flights, begin = Flights(), Started()
        waiting = [
            asyncio.ensure_future(flights.join_or_begin(key, begin, at_s=None).wait(timeout_s=None))
            for key in ("a", "a", "b", None, None)
        ]
        await settled()
        assert len(begin.futures) == 4
        for number, future in enumerate(begin.futures):
            future.set_result(number)  # type: ignore[arg-type]
        assert await asyncio.gather(*waiting) == [0, 0, 1, 2, 3]
        flights.join_or_begin("a", begin, at_s=None)
        assert len(begin.futures) == 5, "a computation that is done is not joined"

    asyncio.run(scenario())


def test_it_goes_on_until_the_last_one_leaves() -> None:
    async def scenario() -> None:
        flights, begin = Flights(), Started()
        first, second = (
            asyncio.ensure_future(flights.join_or_begin("a", begin, at_s=None).wait(timeout_s=None)) for _ in "12"
        )
        await settled()
        first.cancel()
        await settled()
        assert not begin.futures[0].cancelled()
        second.cancel()
        await settled()
        assert begin.futures[0].cancelled()

    asyncio.run(scenario())


def test_one_who_comes_while_a_computation_is_given_up_gets_a_new_one() -> None:
    async def scenario() -> None:
        flights, begin = Flights(), Started()
        first = asyncio.ensure_future(flights.join_or_begin("a", begin, at_s=None).wait(timeout_s=None))
        await settled()
        first.cancel()
        while not begin.futures[0].cancelled():
            await asyncio.sleep(0)
        second = asyncio.ensure_future(flights.join_or_begin("a", begin, at_s=None).wait(timeout_s=None))
        await settled()
        begin.futures[-1].set_result("new")  # type: ignore[arg-type]
        assert await second == "new"

    asyncio.run(scenario())


def test_each_who_waits_has_a_time_of_their_own() -> None:
    async def scenario() -> None:
        flights, begin = Flights(), Started()
        hasty = asyncio.ensure_future(flights.join_or_begin("a", begin, at_s=10.0).wait(timeout_s=0.01))
        patient = asyncio.ensure_future(flights.join_or_begin("a", begin, at_s=20.0).wait(timeout_s=60))
        with pytest.raises(DeadlineError, match="time was over"):
            await hasty
        assert begin.deadlines[0].at_s == 20.0
        begin.futures[0].set_result("there")  # type: ignore[arg-type]
        assert await patient == "there"

    asyncio.run(scenario())
