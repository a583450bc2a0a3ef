"""What ended is forgotten after the retention; nothing that has not ended ever is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pymongo.database import Database

from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import an_instance
from later_core.testing.store_contract.steps import (
    claim,
    insert,
    live,
    moment_of,
    position_now,
    put_mark,
    story_since,
    together,
)

Raw = Database[dict[str, Any]]
MakeStore = Callable[..., MongoStore]

#: The server looks for what to remove each second, and may be busy.
PATIENCE = 30.0


def expiry(raw: Raw) -> object:
    return raw["instances"].index_information()["retention"]["expireAfterSeconds"]


async def test_what_ended_goes_and_what_has_not_ended_stays_however_old(
    make_store: MakeStore, clock: SystemClock
) -> None:
    async with make_store(retention=timedelta(seconds=2)) as store:
        now = await moment_of(store)
        long_ago = now - timedelta(days=4000)
        await insert(store, an_instance("pending", execution_time=long_ago))
        await insert(store, an_instance("running", execution_time=long_ago))
        await insert(store, an_instance("aborted", execution_time=long_ago))
        await claim(store, "running")
        await store.abort("aborted")
        await live(store, "ended")
        position = await position_now(store)
        give_up = clock.monotonic() + PATIENCE
        while await store.get("ended") or await store.get("aborted"):
            assert clock.monotonic() < give_up
            await clock.sleep(0.1)
        counts = await store.counts([])
        assert {state: n for state, n in counts.by_state.items() if n} == {
            State.PENDING: 1,
            State.RUNNING: 1,
        }
        await put_mark(store)
        assert await story_since(store, position) == []


async def test_a_new_retention_holds_from_the_next_start(make_store: MakeStore, raw: Raw) -> None:
    async with make_store(retention=timedelta(days=1)):
        assert expiry(raw) == 86_400
    async with make_store(retention=timedelta(seconds=59, milliseconds=1)):
        assert expiry(raw) == 60
    async with make_store(retention=timedelta(days=36_500)):
        assert expiry(raw) == 2**31 - 1


async def test_nodes_may_start_at_once_even_with_other_retentions(
    make_store: MakeStore, raw: Raw
) -> None:
    stores = [make_store(retention=timedelta(days=1 + n % 2)) for n in range(6)]
    await together(*(store.open() for store in stores))
    await together(*(store.close() for store in stores))
    assert expiry(raw) in {86_400, 2 * 86_400}
    assert raw["meta"].count_documents({}) == 1
