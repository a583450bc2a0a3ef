"""Group commit: together when busy, at once when idle, nothing lost at the end."""

import asyncio

import pytest

from later_core.local.grouping import Group
from later_core.ports.clock import SystemClock
from later_core.testing.clock import FakeClock


async def settle():
    await FakeClock().settle()


async def test_an_idle_group_writes_at_once():
    batches = []

    async def write(items):
        batches.append(list(items))
        return [item * 2 for item in items]

    async with Group(write) as group:
        assert await group.submit(1) == 2
        assert await group.submit(2) == 4
    assert batches == [[1], [2]]


async def test_what_comes_while_a_batch_is_under_way_travels_together():
    batches, gate = [], asyncio.Event()

    async def write(items):
        batches.append(list(items))
        await gate.wait()
        return items

    async with Group(write, in_flight=1, limit=5) as group, asyncio.TaskGroup() as submitters:
        answers = [submitters.create_task(group.submit(number)) for number in range(8)]
        await settle()
        gate.set()
    assert [answer.result() for answer in answers] == list(range(8))
    assert sorted(len(batch) for batch in batches) in ([3, 5], [1, 2, 5])


async def test_a_failure_reaches_each_submitter_of_its_batch_and_no_other():
    async def write(items):
        if "bad" in items:
            raise ValueError("bad batch")
        return items

    async with Group(write, in_flight=1) as group:
        with pytest.raises(ValueError, match="bad batch"):
            await group.submit("bad")
        assert await group.submit("good") == "good"


async def test_leaving_writes_what_still_waits():
    written = []

    async def write(items):
        await SystemClock().sleep(0)
        written.extend(items)
        return items

    async with asyncio.TaskGroup() as submitters, Group(write, in_flight=1, limit=2) as group:
        for number in range(7):
            submitters.create_task(group.submit(number))
        await settle()
    assert written == list(range(7))


async def test_a_closed_group_says_so():
    async def write(items):
        return items

    async with Group(write) as group:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await group.submit(1)


async def test_a_submitter_that_gives_up_disturbs_nobody():
    gate = asyncio.Event()

    async def write(items):
        await gate.wait()
        return items

    async with Group(write, in_flight=1) as group, asyncio.TaskGroup() as submitters:
        leaver = submitters.create_task(group.submit("leaver"))
        stayer = submitters.create_task(group.submit("stayer"))
        await settle()
        leaver.cancel()
        await settle()
        gate.set()
        assert await stayer == "stayer"
    assert leaver.cancelled()


async def test_who_waits_for_room_while_it_closes_is_told_so():
    begin = asyncio.Event()

    async def write(items):
        await begin.wait()
        return items

    async with (
        asyncio.timeout(5),
        asyncio.TaskGroup() as callers,
        Group(write, limit=1, in_flight=1, capacity=1) as group,
    ):
        first = callers.create_task(group.submit(1))
        second = callers.create_task(_refusal(group.submit(2)))
        await SystemClock().sleep(0)
        begin.set()
    assert first.result() == 1
    assert "closed" in second.result()


async def _refusal(submission):
    with pytest.raises(RuntimeError) as caught:
        await submission
    return str(caught.value)


async def test_a_write_that_answers_too_little_fails_its_batch_and_not_the_group():
    async def write(items):
        return items[1:] if 1 in items else items

    async with Group(write) as group:
        with pytest.raises(RuntimeError, match="0 answers to 1 items"):
            await group.submit(1)
        assert await group.submit(2) == 2


async def test_more_than_the_capacity_waits_outside_and_is_written_all_the_same():
    gate, batches = asyncio.Event(), []

    async def write(items):
        batches.append(len(items))
        await gate.wait()
        return items

    async with Group(write, limit=50, in_flight=1, capacity=5) as group:
        async with asyncio.TaskGroup() as submitters:
            answers = [submitters.create_task(group.submit(number)) for number in range(100)]
            await settle()
            gate.set()
        assert sorted(answer.result() for answer in answers) == list(range(100))
    assert max(batches) <= 5


async def gathered(
    *, turns_between: int, gather: float = 60.0, in_flight: int = 1
) -> list[list[int]]:
    """What is written of ten items, each of which comes some turns of the loop after the one before."""
    batches: list[list[int]] = []

    async def write(items):
        batches.append(list(items))
        for _ in range(5):
            await SystemClock().sleep(0)
        return items

    async with (
        Group(write, in_flight=in_flight, gather=gather) as group,
        asyncio.TaskGroup() as submitters,
    ):
        for number in range(10):
            submitters.create_task(group.submit(number))
            for _ in range(turns_between):
                await SystemClock().sleep(0)
    return batches


async def test_a_batch_fills_while_the_loop_brings_more():
    assert await gathered(turns_between=3) == [[0], list(range(1, 10))]


async def test_of_two_that_gather_at_once_none_writes_an_empty_batch():
    batches = await gathered(turns_between=0, in_flight=2)
    assert [] not in batches
    assert sorted(number for batch in batches for number in batch) == list(range(10))


async def test_nobody_waits_for_a_loop_that_brings_no_more():
    assert len(await gathered(turns_between=30)) == 10


async def test_gathering_ends_with_its_time():
    assert len(await gathered(turns_between=3, gather=1e-9)) > 2


async def test_who_submits_one_by_one_does_not_wait_for_others():
    turns = 0

    async def write(items):
        return items

    async with Group(write, in_flight=1, gather=60.0) as group, asyncio.TaskGroup() as counting:

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await SystemClock().sleep(0)

        counter = counting.create_task(count())
        for number in range(10):
            await group.submit(number)
        counter.cancel()
    assert turns <= 40
