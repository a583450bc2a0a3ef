"""The reference store keeps the contract, and forgets only what it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from later_core.errors import HistoryLost
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import an_instance
from later_core.testing.clock import FakeClock
from later_core.testing.contracts import StoreContract
from later_core.testing.store_contract.steps import (
    Advance,
    following,
    insert,
    live,
    position_now,
    put_mark,
    story_since,
)

RETENTION = timedelta(days=7)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def advance(clock: FakeClock) -> Advance:
    return clock.advance


@pytest.fixture
async def store(clock: FakeClock) -> AsyncIterator[MemoryStore]:
    async with MemoryStore(clock=clock, retention=RETENTION) as store:
        yield store


class TestMemoryStore(StoreContract):
    pass


async def test_history_that_was_forgotten_is_lost(store: MemoryStore) -> None:
    position = await position_now(store)
    await live(store, "one")
    store.forget_history()
    async with following(store, position) as reader:
        with pytest.raises(HistoryLost):
            await reader.batch()


async def test_a_position_behind_all_that_was_forgotten_is_still_good(store: MemoryStore) -> None:
    await live(store, "one")
    position = await position_now(store)
    store.forget_history()
    states = await live(store, "two")
    await put_mark(store)
    assert [event.instance for event in await story_since(store, position)] == states


async def test_a_follower_overtaken_by_forgetting_is_told(store: MemoryStore) -> None:
    async with following(store, None) as reader:
        await reader.batch()
        await live(store, "one")
        store.forget_history()
        with pytest.raises(HistoryLost):
            await reader.batch()


async def test_only_so_many_changes_are_remembered(clock: FakeClock) -> None:
    store = MemoryStore(clock=clock, history_length=7)
    start = await position_now(store)
    await live(store, "one")  # five changes
    middle = await position_now(store)
    await live(store, "two")
    await put_mark(store)
    assert len(await story_since(store, middle)) == 5
    with pytest.raises(HistoryLost):
        await story_since(store, start)


async def test_what_ended_is_removed_after_the_retention_and_nothing_else(
    store: MemoryStore, clock: FakeClock
) -> None:
    long_ago = clock.now() - timedelta(days=4000)
    await insert(store, an_instance("pending", execution_time=long_ago))
    await insert(store, an_instance("running", execution_time=long_ago))
    await store.claim(["running"], node="node-a", until=clock.now())
    await live(store, "ended")
    position = await position_now(store)

    await clock.advance(RETENTION.total_seconds() - 0.001)
    assert store.expire() == 0
    await clock.advance(0.001)
    assert store.expire() == 1

    assert await store.get("ended") is None
    assert (await store.counts([])).by_state == {
        **dict.fromkeys(State, 0),
        State.PENDING: 1,
        State.RUNNING: 1,
    }
    await put_mark(store)
    assert await story_since(store, position) == []


async def test_an_instance_that_never_ends_outlives_every_retention(
    store: MemoryStore, clock: FakeClock
) -> None:
    await insert(store, an_instance(execution_time=clock.now()))
    await clock.advance(10 * 365 * 86_400)
    assert store.expire() == 0
    assert await store.get("one") is not None


async def test_nodes_of_one_test_may_share_it_and_restart(clock: FakeClock) -> None:
    store = MemoryStore(clock=clock)
    async with store:
        await insert(store, an_instance(execution_time=clock.now()))
    async with store:
        assert await store.get("one") is not None
