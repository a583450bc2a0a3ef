"""The database's clock is read often while work is near, and only then."""

import asyncio

import pytest

from later_core.engine.timekeeper import Timekeeper
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.window import Window
from later_core.model.instant import to_millis
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock


class CountingStore(MemoryStore):
    readings = 0
    is_away = False

    async def now(self):
        self.readings += 1
        if self.is_away:
            raise StoreUnavailable("gone")
        return await super().now()


@pytest.fixture
async def reading(request):
    """A timekeeper at work: its clock, its store, its window."""
    clock = FakeClock()
    store, window = CountingStore(clock=clock), Window()
    database_clock = DatabaseClock(clock, is_shared=getattr(request, "param", False))
    database_clock.observe(await store.now())
    store.readings = 0
    timekeeper = Timekeeper(store=store, window=window, clock=clock, database_clock=database_clock)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(timekeeper.run())
        yield clock, store, window
        task.cancel()


def offer(window: Window, id: str, clock: FakeClock, *, seconds: float) -> None:
    now_ms = to_millis(clock.now())
    window.offer(int(now_ms + seconds * 1000), id, now_ms=now_ms)


async def test_while_nothing_is_near_the_clock_is_left_alone(reading):
    clock, store, window = reading
    await clock.advance(10)
    offer(window, "later", clock, seconds=60)
    await clock.advance(10)
    assert store.readings == 0


@pytest.mark.parametrize("reading", [True], indirect=True)
async def test_a_clock_that_is_this_machines_is_left_alone(reading):
    clock, store, window = reading
    offer(window, "soon", clock, seconds=3)
    await clock.advance(3)
    assert store.readings == 0


async def test_from_a_second_before_something_is_due_the_clock_is_read_many_times_a_second(reading):
    clock, store, window = reading
    offer(window, "soon", clock, seconds=3)
    await clock.advance(2)
    before = store.readings
    await clock.advance(1)
    assert (before, store.readings - before) == (0, 25)


async def test_a_store_that_does_not_answer_is_asked_again(reading):
    clock, store, window = reading
    offer(window, "soon", clock, seconds=0)
    store.is_away = True
    await clock.advance(1)
    store.is_away = False
    before = store.readings
    await clock.advance(1)
    assert store.readings > before >= 25
