"""What a node takes on is bounded, and nothing is while it has been behind for a while."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import ServerOverloaded
from later_core.local.overload import Load, Overload
from later_core.testing.clock import FakeClock


class Behind:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 900)), max_size=60), st.data())
def test_what_is_held_never_exceeds_the_bounds(
    asked: list[tuple[int, int]], data: st.DataObject
) -> None:
    overload = Overload(clock=FakeClock(), most=100, most_bytes=1000)
    loads: list[Load] = []
    refusals: list[tuple[float, bool]] = []
    for count, size in asked:
        try:
            loads.append(overload.take(count, size))
        except ServerOverloaded as refused:
            refusals.append((refused.retry_after, bool(loads)))
        assert overload.held[0] <= 100
        assert overload.held[1] <= 1000
        if loads and data.draw(st.booleans()):
            load = loads.pop(data.draw(st.integers(0, len(loads) - 1)))
            with load:
                load.drop()
            load.give_back()
    for load in loads:
        load.drop()
    # A request alone is always taken.
    assert all(0 < wait <= 5 and was_busy for wait, was_busy in refusals)
    assert overload.held == (0, 0)


def test_one_request_larger_than_all_is_taken_alone() -> None:
    overload = Overload(clock=FakeClock(), most=10, most_bytes=10)
    with overload.take(1, 1000), pytest.raises(ServerOverloaded):
        overload.take(1, 0)
    overload.take(11, 0)


async def test_new_work_is_refused_once_the_node_has_been_behind_for_a_while(
    clock: FakeClock,
) -> None:
    behind = Behind()
    overload = Overload(clock=clock, behind=[behind])
    overload.take(1, 1)
    behind.seconds = 0.8
    overload.take(1, 1)
    await clock.advance(0.4)
    overload.take(1, 1)
    await clock.advance(0.2)
    with pytest.raises(ServerOverloaded) as refused:
        overload.take(1, 1)
    assert refused.value.retry_after == pytest.approx(1.6)
    assert overload.refused == 1
    behind.seconds = 0.4
    overload.take(1, 1)
    assert overload.held == (4, 4)


async def test_two_hiccups_far_apart_are_no_overload(clock: FakeClock) -> None:
    behind = Behind()
    overload = Overload(clock=clock, behind=[behind])
    behind.seconds = 3.0
    overload.take(1, 1)
    await clock.advance(60)
    overload.take(1, 1)


async def test_whoever_is_patient_waits_for_room(clock: FakeClock) -> None:
    overload = Overload(clock=clock, most=1)
    first = overload.take(1, 0)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(overload.take_in_turn(1, 0))
        await clock.advance(1)
        assert not waiting.done()
        first.give_back()
        await clock.advance(1)
        assert waiting.done()
    assert overload.held == (1, 0)
