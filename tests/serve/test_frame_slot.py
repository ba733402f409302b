from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from serve.frame_slot import Frame, FrameSlot


def frame(number: int) -> Frame:
    return Frame(number=number, data=b"")


def test_the_newest_frame_takes_the_place_of_the_one_that_waits() -> None:
    async def work() -> None:
        dropped: list[int] = []
        slot = FrameSlot(keeps_newest=True, drop=lambda lost: dropped.append(lost.number))
        for number in range(3):
            await slot.put(frame(number))
        taken = await slot.take()
        assert taken is not None
        assert (taken.number, dropped) == (2, [0, 1])

    asyncio.run(work())


def test_a_sender_waits_where_nothing_is_dropped() -> None:
    async def work() -> None:
        slot = FrameSlot(keeps_newest=False, drop=lambda lost: None)
        await slot.put(frame(0))
        second = asyncio.ensure_future(slot.put(frame(1)))
        await asyncio.sleep(0)
        assert not second.done()
        numbers = [found.number for found in (await slot.take(), await slot.take()) if found is not None]
        await second
        assert numbers == [0, 1]

    asyncio.run(work())


def test_a_frame_that_waits_is_still_taken_after_the_end() -> None:
    async def work() -> None:
        slot = FrameSlot(keeps_newest=True, drop=lambda lost: None)
        await slot.put(frame(0))
        slot.finish()
        assert await slot.take() is not None
        assert await slot.take() is None
        assert await slot.take() is None

    asyncio.run(work())


@given(st.lists(st.booleans(), max_size=30), st.booleans())
def test_every_frame_is_taken_or_dropped_and_in_order(takes: list[bool], keeps_newest: bool) -> None:
    async def work() -> None:
        dropped: list[int] = []
        taken: list[int] = []
        slot = FrameSlot(keeps_newest=keeps_newest, drop=lambda lost: dropped.append(lost.number))

        async def produce() -> None:
            for number, pauses in enumerate(takes):
                await slot.put(frame(number))
                if pauses:
                    await asyncio.sleep(0)
            slot.finish()

        async def consume() -> None:
            while (found := await slot.take()) is not None:
                taken.append(found.number)

        async with asyncio.timeout(5):
            await asyncio.gather(produce(), consume())
        assert taken == sorted(taken)
        assert sorted([*taken, *dropped]) == list(range(len(takes)))
        assert keeps_newest or not dropped
        assert not takes or taken[-1] == len(takes) - 1

    asyncio.run(work())
