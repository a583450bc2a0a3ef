"""Filling the window: a backlog larger than its room, and a store that changes while it is read."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from later_core.engine.feeder import Feeder
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.lobby import Lobby
from later_core.local.membership import Membership
from later_core.local.window import Window
from later_core.model.instance import Instance
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock


class SlowReads(MemoryStore):
    """Each read takes a while, and time passes meanwhile."""

    def __init__(self, *, clock, seconds):
        super().__init__(clock=clock)
        self._seconds = seconds

    async def due(self, **asked):
        entries = await super().due(**asked)
        await self._clock.sleep(self._seconds)
        return entries


@asynccontextmanager
async def feeding(store, clock, window):
    database_clock = DatabaseClock(clock)
    database_clock.observe(clock.now())
    feeder = Feeder(
        store=store,
        window=window,
        lobby=Lobby(),
        clock=clock,
        database_clock=database_clock,
        membership=Membership(tasks=["t"]),
        recurrence=timedelta(minutes=5),
        time_ahead=timedelta(minutes=10),
    )
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(feeder.run())
        await clock.settle()
        yield
        loop.cancel()


async def fill(store, clock, ages, *, priority=0):
    now = clock.now()
    await store.insert(
        [
            Instance(
                id=f"{priority}-{n:05}",
                task="t",
                priority=priority,
                create_time=now,
                execution_time=now - timedelta(seconds=age),
            )
            for n, age in enumerate(ages)
        ]
    )


async def test_a_backlog_beyond_its_room_is_read_on_as_the_room_grows(monkeypatch):
    clock = FakeClock()
    store, window = MemoryStore(clock=clock), Window(backlog_capacity=2_000)
    # The room is a whole number of pages: nothing is refused, and still there is more.
    monkeypatch.setattr("later_core.engine.feeder._PAGE_ONE_BY_ONE", 1_000)
    await fill(store, clock, [3_600] * 5_000)
    taken = []
    async with feeding(store, clock, window):
        for _ in range(20):
            taken += window.pop_backlog(500)
            await clock.advance(1)
    assert len(taken) == len({id for _, id in taken}) == 5_000


async def test_what_becomes_overdue_while_it_is_read_does_not_hide_what_is_near():
    clock = FakeClock()
    store, window = SlowReads(clock=clock, seconds=1), Window(backlog_capacity=2)
    for n in range(2):
        window.offer(n, f"held{n}", now_ms=clock.now().timestamp() * 1000)
    await fill(store, clock, [4.5, -60, -120])
    async with feeding(store, clock, window):
        await clock.advance(10)
        near = window.pop_due(float("inf"), 10)
        assert [id for _, id in near] == ["0-00001", "0-00002"]


async def test_what_has_a_priority_is_found_behind_any_number_of_others():
    clock = FakeClock()
    store, window = MemoryStore(clock=clock), Window(backlog_capacity=2_000)
    await fill(store, clock, [3_600] * 5_000)
    # Due later than all others, and too many for their own room.
    await fill(store, clock, [60] * 3_000, priority=1)
    await fill(store, clock, [30] * 10, priority=100)
    taken = []
    async with feeding(store, clock, window):
        for _ in range(40):
            popped = [id for _, id in window.pop_backlog(500)]
            await store.claim(popped, node="n", until=clock.now())
            taken += popped
            await clock.advance(1)
    priorities = [int(id.partition("-")[0]) for id in taken]
    assert priorities == [100] * 10 + [1] * 3_000 + [0] * 5_000
    assert len(set(taken)) == 8_010


async def test_what_is_near_is_held_under_its_priority():
    clock = FakeClock()
    store, window = MemoryStore(clock=clock), Window()
    await fill(store, clock, [-60] * 3_000)
    await fill(store, clock, [-61] * 3_000, priority=5)
    async with feeding(store, clock, window):
        assert len(window) == 6_000
        near = window.pop_due(float("inf"), 6_000)
    assert [int(id.partition("-")[0]) for _, id in near] == [5] * 3_000 + [0] * 3_000


class LateNews(MemoryStore):
    """News that comes when a page is there already, and not taken in yet."""

    def __init__(self, *, clock, news):
        super().__init__(clock=clock)
        self._news = news

    async def due(self, **asked):
        entries = await super().due(**asked)
        for entry in entries:
            asyncio.get_running_loop().call_soon(self._news, entry)
        return entries


async def test_news_is_not_overtaken_by_the_page_that_was_read_before_it(monkeypatch):
    monkeypatch.setattr("later_core.engine.feeder._PAGE", 3)
    clock, window = FakeClock(), Window()
    moved, gone = [], []

    def news(entry):
        if int(entry.id[-1]) % 2:
            moved.append((entry.due_ms + 1_000, entry.id))
            window.offer(*moved[-1], now_ms=clock.now().timestamp() * 1000)
        else:
            gone.append(entry.id)
            window.discard(entry.id)

    store = LateNews(clock=clock, news=news)
    await fill(store, clock, [-60 - n for n in range(10)])
    async with feeding(store, clock, window):
        assert len(moved) == len(gone) == 5
        assert window.pop_due(float("inf"), 20) == sorted(moved)


async def test_a_database_that_goes_away_between_two_pages_is_said_to_be_away(monkeypatch):
    monkeypatch.setattr("later_core.engine.feeder._PAGE", 3)
    clock, window = FakeClock(), Window()

    class Away(MemoryStore):
        async def due(self, *, after, **asked):
            if after is not None:
                raise StoreUnavailable("gone")
            return await super().due(after=after, **asked)

    store = Away(clock=clock)
    await fill(store, clock, [-60 - n for n in range(10)])
    with pytest.raises(ExceptionGroup) as failed:
        async with feeding(store, clock, window):
            pass
    # One error alone, not a group of them: whoever runs the loop asks for its kind.
    assert [type(each) for each in failed.value.exceptions] == [StoreUnavailable]
    assert len(window) == 3
