"""Watching: what exists, what was missed and what happens, joined without gap or repeat."""

import asyncio
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import pytest

from later_core.engine.follower import Follower
from later_core.errors import ResumeTokenInvalid, SubscriberTooSlow
from later_core.local.database_clock import DatabaseClock
from later_core.local.hub import Hub
from later_core.model.event import EventType
from later_core.model.instance import Instance
from later_core.model.query import Filter
from later_core.service.subscriptions import Subscriptions
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock


class Desk:
    """A store with a follower, and subscriptions on it."""

    def __init__(self, *, history_length=100_000, **limits):
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock, history_length=history_length)
        self.hub = Hub(**limits)
        database_clock = DatabaseClock(self.clock)
        database_clock.observe(self.clock.now())
        self.follower = Follower(
            store=self.store,
            hub=self.hub,
            clock=self.clock,
            database_clock=database_clock,
            on_event=None,
        )
        self.subscriptions = Subscriptions(
            store=self.store, hub=self.hub, clock=self.clock, database_clock=database_clock
        )
        self._count = 0

    @asynccontextmanager
    async def open(self):
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(self.follower.run())
            yield
            loop.cancel()

    async def change(self, count=1, *, task="t"):
        """So many new instances, each of them aborted: two changes apiece."""
        for _ in range(count):
            id = f"i{self._count:05}"
            self._count += 1
            now = self.clock.now()
            instance = Instance(id=id, task=task, execution_time=now, create_time=now)
            await self.store.insert([instance])
            await self.store.abort(id)

    def watch(self, filter=None, *, token=None, existing=False):
        return self.subscriptions.watch(
            filter or Filter(), resume_token=token, include_existing=existing
        )


def summary(events):
    return [(e.type, e.instance.id, e.instance.revision) for e in events if e.instance]


async def take(watch, count):
    """Events until there are so many, and the position behind the last."""
    events, position = [], None
    while len(events) < count:
        batch = await anext(watch)
        events += batch.events
        position = batch.position
    return events, position


async def read_into(seen, watch):
    """Every event until the watch ends or fails."""
    async for batch in watch:
        seen += batch.events


def expected(first, last):
    changes = []
    for number in range(first, last):
        changes += [
            (EventType.CREATED, f"i{number:05}", 1),
            (EventType.UPDATED, f"i{number:05}", 2),
        ]
    return changes


async def test_a_watch_says_at_once_where_it_begins_and_tells_all_that_follows():
    desk = Desk()
    async with desk.open(), aclosing(desk.watch()) as watch:
        await desk.change(3)
        opening = await anext(watch)
        assert not opening.events
        assert opening.position
        await desk.change(5)
        events, _ = await take(watch, 10)
        assert summary(events) == expected(3, 8)


async def test_a_subscriber_cut_anywhere_resumes_without_gap_or_repeat():
    desk = Desk()
    async with desk.open():
        async with aclosing(desk.watch()) as watch:
            token = (await anext(watch)).position
        seen = []
        for _ in range(7):
            await desk.change(3)
            async with aclosing(desk.watch(token=token)) as watch:
                events, token = await take(watch, 5)
                seen += events
        await desk.change(1)
        async with aclosing(desk.watch(token=token)) as watch:
            rest, _ = await take(watch, 44 - len(seen))
            seen += rest
        assert summary(seen) == expected(0, 22)


async def test_the_seam_between_history_and_present_is_exact_while_changes_go_on():
    desk = Desk()
    async with desk.open():
        async with aclosing(desk.watch()) as watch:
            token = (await anext(watch)).position
        await desk.change(50)
        async with asyncio.TaskGroup() as group:
            group.create_task(desk.change(100))
            async with aclosing(desk.watch(token=token)) as watch:
                events, _ = await take(watch, 300)
        assert summary(events) == expected(0, 150)


async def test_what_exists_comes_first_and_joins_what_changes_meanwhile():
    desk = Desk()
    await desk.change(40)
    async with desk.open(), asyncio.TaskGroup() as group:
        group.create_task(desk.change(100))
        async with aclosing(desk.watch(existing=True)) as watch:
            state, changes = {}, []
            while len(state) < 140 or any(revision < 2 for revision in state.values()):
                batch = await anext(watch)
                for event in batch.events:
                    id, revision = event.instance.id, event.instance.revision
                    if event.type is EventType.EXISTING:
                        assert not changes, "existing ones come before every change"
                        assert batch.position == ""
                    else:
                        changes.append(id)
                        assert revision == state.get(id, 0) + 1
                    state[id] = revision


async def test_only_what_matches_is_told():
    desk = Desk()
    filter = Filter(tasks=frozenset({"mine"}))
    async with desk.open():
        async with aclosing(desk.watch()) as all_of_it:
            token = (await anext(all_of_it)).position
        await desk.change(2, task="other")
        await desk.change(1, task="mine")
        async with aclosing(desk.watch(filter, token=token)) as watch:
            events, _ = await take(watch, 2)
            assert {e.instance.task for e in events} == {"mine"}


async def test_a_quiet_subscriber_gets_bookmarks_now_and_then():
    desk = Desk()
    async with desk.open(), aclosing(desk.watch()) as watch:
        first = (await anext(watch)).position
        async with asyncio.TaskGroup() as group:
            bookmark = group.create_task(anext(watch))
            await desk.clock.settle()
            assert not bookmark.done()
            await desk.clock.advance(10)
        assert not bookmark.result().events
        assert bookmark.result().position >= first


async def test_lost_history_is_told_as_a_resync_never_silently_skipped():
    desk = Desk(history_length=10)
    async with desk.open():
        async with aclosing(desk.watch()) as watch:
            token = (await anext(watch)).position
        await desk.change(50)
        async with aclosing(desk.watch(token=token)) as watch:
            batch = await anext(watch)
            assert [event.type for event in batch.events] == [EventType.RESYNC]
            await desk.change(1)
            events, _ = await take(watch, 2)
            assert summary(events) == expected(50, 51)


async def test_history_lost_before_the_present_was_reached_is_told_as_a_resync_too():
    desk = Desk()
    async with desk.open():
        async with aclosing(desk.watch()) as watch:
            token = (await anext(watch)).position
        await desk.change(1)
        async with aclosing(desk.watch(token=token)) as watch:
            assert summary((await anext(watch)).events) == expected(0, 1)
            await desk.change(1)
            desk.store.forget_history()
            batch = await anext(watch)
            assert [event.type for event in batch.events] == [EventType.RESYNC]
            await desk.change(1)
            events, _ = await take(watch, 2)
            assert summary(events) == expected(2, 3)


async def test_a_subscriber_too_slow_is_told_its_last_token_and_can_go_on_from_there():
    desk = Desk(max_events=20)
    async with desk.open():
        watch = desk.watch()
        await anext(watch)
        seen = []
        pending = asyncio.ensure_future(anext(watch))  # noqa: TID251 - subscribes, then stops reading
        await desk.change(1)
        seen += (await pending).events
        await desk.change(50)
        await desk.clock.settle()
        with pytest.raises(SubscriberTooSlow) as error:
            await read_into(seen, watch)
        async with aclosing(desk.watch(token=error.value.resume_token)) as again:
            rest, _ = await take(again, 102 - len(seen))
        assert summary(seen + rest) == expected(0, 51)


async def test_a_token_of_another_server_is_refused():
    desk = Desk()
    async with desk.open(), aclosing(desk.watch(token="not a token")) as watch:
        with pytest.raises(ResumeTokenInvalid):
            await anext(watch)


async def test_the_feed_is_read_only_while_somebody_listens():
    desk = Desk()
    async with desk.open():
        async with aclosing(desk.watch()) as watch:
            await anext(watch)
            assert len(desk.hub) == 1
        assert len(desk.hub) == 0
        await desk.clock.advance(timedelta(seconds=5).total_seconds())
        assert not desk.hub.is_wanted.is_set()


async def test_who_comes_while_the_feed_is_being_closed_misses_nothing():
    desk = Desk()
    closing, closed = asyncio.Event(), asyncio.Event()
    follow = desk.store.follow

    async def slow_to_close(position):
        try:
            async with aclosing(follow(position)) as feed:
                async for batch in feed:
                    yield batch
        finally:
            closing.set()
            await closed.wait()

    desk.store.follow = slow_to_close
    async with desk.open():
        async with aclosing(desk.watch()) as first:
            await anext(first)
        await desk.clock.advance(2)
        assert closing.is_set()
        async with aclosing(desk.watch()) as second:
            assert not (await anext(second)).events
            await desk.change(1)
            closed.set()
            async with asyncio.TaskGroup() as group:
                seen = group.create_task(take(second, 2))
                await desk.clock.advance(5)
                assert seen.done()
            assert summary(seen.result()[0]) == expected(0, 1)
