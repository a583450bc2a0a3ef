"""What a test may rely on when it moves time by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.ports.clock import Clock
from later_core.testing.clock import FakeClock

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_is_a_clock(clock: FakeClock) -> None:
    promise: Clock = clock
    assert promise.now() == START
    assert promise.monotonic() == 0.0


async def test_time_passes_in_advance_alone(clock: FakeClock) -> None:
    await clock.advance(90.5)
    assert clock.now() == START + timedelta(seconds=90.5)
    assert clock.monotonic() == 90.5


async def test_many_small_steps_add_up_exactly(clock: FakeClock) -> None:
    for _ in range(1000):
        await clock.advance(0.001)
    assert clock.now() == START + timedelta(seconds=1)


async def test_sleepers_wake_in_the_order_of_time_at_their_moment(clock: FakeClock) -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in [("c", 3.0), ("a", 1.0), ("b", 2.0), ("b too", 2.0)]:
            group.create_task(sleeper(name, seconds))
        await clock.advance(2.5)
        assert woken == [("a", 1.0), ("b", 2.0), ("b too", 2.0)]
        await clock.advance(0.5)
    assert woken[-1] == ("c", 3.0)


async def test_who_sleeps_again_wakes_again_within_one_advance(clock: FakeClock) -> None:
    beats: list[float] = []

    async def heart() -> None:
        while True:
            await clock.sleep(1)
            beats.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        task = group.create_task(heart())
        await clock.advance(5)
        task.cancel()
    assert beats == [1.0, 2.0, 3.0, 4.0, 5.0]


async def test_a_long_chain_of_wakings_comes_to_rest_before_time_goes_on(clock: FakeClock) -> None:
    links = 200
    events = [asyncio.Event() for _ in range(links)]
    seen: list[float] = []

    async def link(number: int) -> None:
        await events[number].wait()
        if number + 1 < links:
            events[number + 1].set()
        seen.append(clock.monotonic())

    async with asyncio.TaskGroup() as group:
        for number in range(links):
            group.create_task(link(number))

        async def first() -> None:
            await clock.sleep(1)
            events[0].set()

        async def later() -> None:
            await clock.sleep(1.001)
            assert len(seen) == links

        group.create_task(first())
        group.create_task(later())
        await clock.advance(2)
    assert seen == [1.0] * links


async def test_a_sleep_of_nothing_yields_and_returns(clock: FakeClock) -> None:
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic() == 0.0


async def test_a_cancelled_sleeper_is_forgotten(clock: FakeClock) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(clock.sleep(1))
        await clock.settle()
        assert clock.sleepers == 1
        task.cancel()
        await clock.settle()
        assert clock.sleepers == 0
    await clock.advance(2)
    assert task.cancelled()


async def test_wait_answers_true_as_soon_as_the_event_is_set(clock: FakeClock) -> None:
    event = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        bounded = group.create_task(clock.wait(event, 10))
        unbounded = group.create_task(clock.wait(event, None))
        await clock.advance(5)
        assert not bounded.done()
        assert not unbounded.done()
        event.set()
        await clock.settle()
        assert bounded.result() is True
        assert unbounded.result() is True
    assert clock.sleepers == 0


async def test_wait_answers_false_when_the_time_is_over(clock: FakeClock) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(clock.wait(asyncio.Event(), 10))
        await clock.advance(9.999)
        assert not waiting.done()
        await clock.advance(0.001)
        assert waiting.result() is False


async def test_wait_never_sleeps_for_an_event_that_is_set(clock: FakeClock) -> None:
    event = asyncio.Event()
    assert await clock.wait(event, 0) is False
    event.set()
    assert await clock.wait(event, 0) is True
    assert await clock.wait(event, None) is True


async def test_a_cancelled_wait_passes_the_cancellation_on(clock: FakeClock) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(clock.wait(asyncio.Event(), 10))
        await clock.settle()
        waiting.cancel()
        await clock.settle()
        assert waiting.cancelled()
    assert clock.sleepers == 0


async def test_a_loop_that_never_rests_is_named(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("later_core.testing.clock._MAX_TURNS", 100)

    async def restless() -> None:
        while True:
            await clock.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(restless())
        with pytest.raises(RuntimeError, match="still busy"):
            await clock.advance(1)
        task.cancel()


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=20))
def test_nobody_ever_wakes_early_or_out_of_turn(naps: list[float]) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        woken: list[float] = []

        async def sleeper(seconds: float) -> None:
            await clock.sleep(seconds)
            assert clock.monotonic() >= seconds - 1e-9
            woken.append(clock.monotonic())

        async with asyncio.TaskGroup() as group:
            for seconds in naps:
                group.create_task(sleeper(seconds))
            await clock.advance(2e6)
        assert len(woken) == len(naps)
        assert woken == sorted(woken)

    asyncio.run(scenario())


async def test_time_that_passes_is_elapsed_time_wherever_the_clock_began():
    begin = datetime(2030, 3, 31, 0, 30, tzinfo=ZoneInfo("Europe/Paris"))
    clock = FakeClock(begin)
    await clock.advance(4 * 3600)
    assert clock.now() - begin.astimezone(UTC) == timedelta(hours=4)


async def test_who_should_have_woken_during_a_jump_wakes_at_its_end_in_order():
    clock = FakeClock()
    woken = []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for seconds in (30, 10, 61):
            group.create_task(sleeper(seconds))
        await clock.settle()
        assert clock.waits() == [10, 30, 61]
        await clock.jump(60)
        assert woken == [(10, 60), (30, 60)]
        assert clock.waits() == [1]
        await clock.advance(1)
