"""Checks of ``follow``."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import pytest

from later_core.errors import ResumeTokenInvalid
from later_core.model.event import Event, EventType
from later_core.model.instance import Instance
from later_core.ports.store import Store
from later_core.testing.builders import a_node, an_instance, failed
from later_core.testing.store_contract.steps import (
    HOUR,
    NODE,
    SECOND,
    Advance,
    claim,
    existing,
    following,
    insert,
    live,
    moment_of,
    position_now,
    put_mark,
    run,
    story_since,
    together,
)


def _seen(events: list[Event]) -> list[tuple[EventType, Instance | None, str]]:
    return [(event.type, event.instance, event.position) for event in events]


def _states(events: list[Event]) -> list[Instance]:
    return [event.instance for event in events if event.instance is not None]


class HistoryContract:
    """Every change is told, as it was, once, in order, from any position on."""

    async def test_the_first_batch_comes_at_once_and_says_where_it_stands(
        self, store: Store
    ) -> None:
        await insert(store, an_instance("before", execution_time=await moment_of(store)))
        async with following(store, None) as reader:
            batch = await reader.batch()
            assert list(batch.events) == []
            assert batch.position
            # From now on: what was before is not told, what comes after is.
            states = await live(store, "after")
            await put_mark(store)
            assert _states(await reader.until("mark")) == states

    async def test_the_first_batch_behind_a_position_comes_at_once_too(self, store: Store) -> None:
        position = await position_now(store)
        async with following(store, position) as reader:
            batch = await reader.batch()
            assert list(batch.events) == []
            assert batch.position >= position

    async def test_each_quick_change_is_told_as_it_was(self, store: Store) -> None:
        position = await position_now(store)
        states = await live(store, "one")
        now = await moment_of(store)
        states.append(await store.retry("one", now + HOUR))
        states.append(await store.reschedule("one", now, revision=None))
        states += await claim(store, "one")
        await store.started({("one", 3): now}, node=NODE)
        states.append(await existing(store, "one"))
        states.append((await store.abort("one")).after)
        # Read only now, when the instance has long been at its last revision.
        await put_mark(store)
        events = await story_since(store, position)
        assert _states(events) == states
        assert [state.revision for state in states] == list(range(1, len(states) + 1))
        assert [event.type for event in events] == [
            EventType.CREATED,
            *[EventType.UPDATED] * (len(states) - 1),
        ]

    async def test_what_a_survivor_changes_is_told_too(self, store: Store) -> None:
        position = await position_now(store)
        await run(store, "lost", node="never-seen")
        await store.beat(a_node(NODE), lease=HOUR)
        await run(store, "stray")
        [recovered] = await store.recover(limit=10)
        [reclaimed] = await store.reclaim(NODE, [])
        await put_mark(store)
        assert _states(await story_since(store, position))[-2:] == [recovered, reclaimed]

    async def test_what_changed_nothing_is_not_told(self, store: Store) -> None:
        now = await moment_of(store)
        instance = an_instance(execution_time=now)
        await insert(store, instance)
        position = await position_now(store)
        await store.insert([instance])
        await store.claim(["one"], node=NODE, until=now - SECOND)
        await store.beat(a_node(NODE), lease=HOUR)
        [running] = await claim(store, "one")
        ending = failed(running, at=now)
        assert await store.finish([ending]) == [True]
        assert await store.finish([ending]) == [True]
        await put_mark(store)
        assert [state.revision for state in _states(await story_since(store, position))] == [2, 3]

    async def test_many_changed_in_one_call_are_told_one_by_one(self, store: Store) -> None:
        position = await position_now(store)
        now = await moment_of(store)
        created = [an_instance(f"id-{n:03d}", execution_time=now) for n in range(250)]
        await insert(store, *created)
        running = await claim(store, *(instance.id for instance in created))
        assert all(await store.finish([failed(instance, at=now) for instance in running]))
        ended = [await existing(store, instance.id) for instance in created]
        await put_mark(store)
        told = _by_id(await story_since(store, position))
        assert told == {
            before.id: [before, during, after]
            for before, during, after in zip(created, running, ended, strict=True)
        }

    async def test_per_instance_events_come_in_order_under_concurrent_writes(
        self, store: Store
    ) -> None:
        async with following(store, None) as reader:
            await reader.batch()
            lives = await together(*(live(store, f"id-{n:02d}") for n in range(30)))
            await put_mark(store)
            told = _by_id(await reader.until("mark"))
        assert told == {states[0].id: states for states in lives}

    async def test_positions_compare_as_strings_in_the_order_of_history(self, store: Store) -> None:
        start = await position_now(store)
        await together(*(live(store, f"id-{n}") for n in range(5)))
        await put_mark(store)
        async with following(store, start) as reader:
            events = await reader.until("mark")
        positions = [start, *(event.position for event in events)]
        assert positions == sorted(set(positions))
        for batch in reader.read:
            assert all(event.position <= batch.position for event in batch.events)
        behind = [batch.position for batch in reader.read]
        assert behind == sorted(behind)

    async def test_following_resumes_from_any_position_without_gap_or_repeat(
        self, store: Store
    ) -> None:
        start = await position_now(store)
        await together(live(store, "a"), live(store, "b"))
        await put_mark(store)
        events = await story_since(store, start)
        assert len(events) == 10
        for place, event in enumerate(events, start=1):
            rest = await story_since(store, event.position)
            assert _seen(rest) == _seen(events[place:])

    async def test_following_resumes_from_what_a_batch_says(
        self, store: Store, advance: Advance
    ) -> None:
        async with following(store, None) as reader:
            await reader.batch()
            first = await live(store, "a")
            while (batch := await reader.bookmark(advance)).events:
                pass
            told = [s for read in reader.read for s in _states(list(read.events))]
        await live(store, "b")
        await put_mark(store)
        rest = _states(await story_since(store, batch.position))
        # A bookmark may stand anywhere before what has not been told yet.
        assert [*told, *rest][:5] == first
        assert [state.id for state in [*told, *rest]] == ["a"] * 5 + ["b"] * 5

    async def test_a_quiet_store_sends_bookmarks(self, store: Store, advance: Advance) -> None:
        async with following(store, None) as reader:
            first = await reader.batch()
            bookmark = await reader.bookmark(advance)
            assert list(bookmark.events) == []
            assert bookmark.position >= first.position
        states = await live(store, "one")
        await put_mark(store)
        assert _states(await story_since(store, bookmark.position)) == states

    async def test_all_followers_are_told_the_same(self, store: Store) -> None:
        async with following(store, None) as one, following(store, None) as other:
            await together(one.batch(), other.batch())
            await together(*(live(store, f"id-{n}") for n in range(5)))
            await put_mark(store)
            told, told_too = await together(one.until("mark"), other.until("mark"))
        assert _seen(told) == _seen(told_too)

    async def test_an_event_bears_the_time_of_the_database(self, store: Store) -> None:
        position = await position_now(store)
        begin = await moment_of(store)
        await live(store, "one")
        end = await moment_of(store)
        await put_mark(store)
        # A history may keep its times in whole seconds.
        slack = timedelta(seconds=1)
        for event in await story_since(store, position):
            assert event.event_time.utcoffset() == timedelta(0)
            assert begin - slack <= event.event_time <= end + slack

    @pytest.mark.parametrize("token", ["nonsense", "-1", "82", "é", "x" * 5000])
    async def test_a_token_of_nobody_is_refused(self, store: Store, token: str) -> None:
        async with following(store, token) as reader:
            with pytest.raises(ResumeTokenInvalid):
                await reader.batch()


def _by_id(events: list[Event]) -> dict[str, list[Instance]]:
    told: defaultdict[str, list[Instance]] = defaultdict(list)
    for state in _states(events):
        told[state.id].append(state)
    return told
