"""Checks of ``news``."""

from __future__ import annotations

import pytest

from later_core.errors import ResumeTokenInvalid
from later_core.model.event import Event
from later_core.model.instance import Instance
from later_core.model.state import State
from later_core.ports.store import Store
from later_core.testing.builders import a_node, an_instance
from later_core.testing.store_contract.steps import (
    HOUR,
    NODE,
    Advance,
    claim,
    existing,
    hearing,
    insert,
    live,
    moment_of,
    position_now,
    put_mark,
    run,
    story_since,
)


def _told(events: list[Event]) -> list[Instance]:
    """Those that every store must tell; it may tell others too."""
    told = [event.instance for event in events if event.instance is not None]
    return [state for state in told if state.state in (State.PENDING, State.ABORTED)]


class NewsContract:
    """All that waits, or was aborted, is told as it was, once, in order, from any position on."""

    async def test_news_begin_at_once_and_from_now_on(self, store: Store) -> None:
        await insert(store, an_instance("before", execution_time=await moment_of(store)))
        async with hearing(store, None) as reader:
            batch = await reader.batch()
            assert list(batch.events) == []
            assert batch.position
            states = await live(store, "after")
            await put_mark(store)
            assert _told(await reader.until("mark")) == [states[0], states[2]]

    async def test_news_tell_each_way_to_wait_and_to_be_aborted(self, store: Store) -> None:
        position = await position_now(store)
        now = await moment_of(store)
        await live(store, "one")
        waits = [await store.retry("one", now + HOUR)]
        waits.append(await store.reschedule("one", now, revision=None))
        await claim(store, "one")
        waits.append((await store.abort("one")).after)
        await insert(store, an_instance("two", execution_time=now))
        waits.append((await store.abort("two")).after)
        await store.beat(a_node(NODE), lease=HOUR)
        await run(store, "stray")
        waits += await store.reclaim(NODE, [])
        await run(store, "lost", node="never-seen")
        waits += await store.recover(limit=10)
        await put_mark(store)
        async with hearing(store, position) as reader:
            told = _told(await reader.until("mark"))
        assert [state for state in told if state in waits] == waits
        # And each is told once: those that were created, and the failure of the first.
        assert len(told) == len(waits) + 5
        assert await existing(store, "lost") == told[-1]

    async def test_news_resume_from_the_position_of_any_event(self, store: Store) -> None:
        start = await position_now(store)
        await live(store, "a")
        await live(store, "b")
        await put_mark(store)
        async with hearing(store, start) as reader:
            news = await reader.until("mark")
        assert [event for event in await story_since(store, start) if event in news] == news
        for place, event in enumerate(news, start=1):
            async with hearing(store, event.position) as reader:
                assert await reader.until("mark") == news[place:]

    async def test_a_store_without_news_says_where_it_stands(
        self, store: Store, advance: Advance
    ) -> None:
        async with hearing(store, None) as reader:
            first = await reader.batch()
            bookmark = await reader.bookmark(advance)
        assert list(bookmark.events) == []
        assert bookmark.position >= first.position

    async def test_news_behind_a_token_of_nobody_are_refused(self, store: Store) -> None:
        async with hearing(store, "nonsense") as reader:
            with pytest.raises(ResumeTokenInvalid):
                await reader.batch()
