"""The feed tells each change as it was, in an order that positions keep, or says what is lost."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from bson import Timestamp
from pymongo.database import Database

from later_core.errors import HistoryLost, ResumeTokenInvalid
from later_core.model.event import EventType
from later_core.model.query import Filter
from later_core.ports.clock import SystemClock
from later_core.stores.mongo import cursor, feed, positions
from later_core.stores.mongo.store import MongoStore
from later_core.testing.builders import an_instance
from later_core.testing.store_contract.steps import (
    HOUR,
    following,
    insert,
    live,
    moment_of,
    position_now,
    put_mark,
    story_since,
    together,
)

Raw = Database[dict[str, Any]]


async def test_quick_changes_are_each_seen_exactly_as_they_were(store: MongoStore) -> None:
    position = await position_now(store)
    lives = await together(*(live(store, f"id-{n}") for n in range(10)))
    await put_mark(store)
    events = await story_since(store, position)
    assert len(events) == 50
    for states in lives:
        told = [e for e in events if e.instance and e.instance.id == states[0].id]
        assert [event.instance for event in told] == states
        assert [event.type for event in told] == [EventType.CREATED] + [EventType.UPDATED] * 4
    order = [event.position for event in events]
    assert order == sorted(set(order))


async def test_positions_compare_as_text_in_the_order_of_history(store: MongoStore) -> None:
    bookmarks: list[str] = []
    history: list[str] = []
    async with following(store, None) as reader:
        await reader.batch()
        for n in range(5):
            async with store.snapshot(Filter()) as snapshot:
                history.append(snapshot.position)
            await put_mark(store, f"mark-{n}")
            assert await reader.until(f"mark-{n}") == []
            history += [event.position for event in reader.read[-1].events]
        bookmarks = [batch.position for batch in reader.read]
    # Each moment lies between the event before it and the one behind it.
    assert len(history) == 10
    assert all(before < after for before, after in pairwise(history))
    assert bookmarks == sorted(bookmarks)


def test_a_moment_sorts_behind_all_up_to_it_and_before_all_later() -> None:
    ordered = [
        "826380000000000001" + "2B042C0100296E",
        positions.just_behind(Timestamp(0x63800000, 1)),
        "826380000000000002" + "2B022C0100296E",
        "826380000000000002" + "2B042C0100296E",
        positions.just_behind(Timestamp(0x63800000, 2)),
        "826380000100000001" + "2B022C0100296E",
    ]
    assert all(a < b for a, b in pairwise(ordered))
    assert positions.time_of(ordered[1]) == Timestamp(0x63800000, 2)


@pytest.mark.parametrize(
    "position",
    [
        "",
        "x",
        "82",
        "81" + "0" * 16,
        "82" + "f" * 16,
        "82" + "G" * 16,
        "82" + "0" * 17,
        "00000000000000000001",
    ],
)
async def test_what_is_no_position_is_refused(store: MongoStore, position: str) -> None:
    with pytest.raises(ResumeTokenInvalid):
        await story_since(store, position)


async def test_a_position_with_a_forged_end_or_from_the_future_is_refused(
    store: MongoStore,
) -> None:
    position = await position_now(store)
    for forged in (position[:18] + "FF", position[:18] + "2B04FFFF", "82FFFFFFFF00000001"):
        with pytest.raises(ResumeTokenInvalid):
            await story_since(store, forged)


async def test_a_change_without_its_image_is_told_as_lost(store: MongoStore, raw: Raw) -> None:
    position = await position_now(store)
    raw.command({"collMod": "instances", "changeStreamPreAndPostImages": {"enabled": False}})
    await live(store, "one")
    with pytest.raises(HistoryLost):
        await story_since(store, position)


async def test_a_dropped_collection_is_told_as_lost(store: MongoStore, raw: Raw) -> None:
    async with following(store, None) as reader:
        await reader.batch()
        raw["instances"].drop()
        with pytest.raises(HistoryLost):
            await reader.until("nothing")


async def test_removal_is_no_change(store: MongoStore, raw: Raw) -> None:
    position = await position_now(store)
    states = await live(store, "one")
    raw["instances"].delete_one({"_id": "one"})
    await put_mark(store)
    assert [event.instance for event in await story_since(store, position)] == states


async def test_a_follower_that_is_cancelled_leaves_nothing_behind(
    store: MongoStore, raw: Raw, clock: SystemClock
) -> None:
    async def read() -> None:
        async with following(store, None) as reader:
            await reader.batch()
            began.set()
            await reader.until("nothing")

    began = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(read())
        await began.wait()
        assert len(_streams(raw)) == 1
        task.cancel()
    # The read that was under way ends by the loss of its cursor.
    give_up = clock.monotonic() + 10
    while _streams(raw):
        assert clock.monotonic() < give_up
        await clock.sleep(0.02)


def _streams(raw: Raw) -> list[dict[str, Any]]:
    """The change streams that the server holds open on this database."""
    return list(
        raw.client.admin.aggregate(
            [
                {"$currentOp": {"idleCursors": True, "allUsers": True}},
                {"$match": {"cursor.tailable": True, "ns": f"{raw.name}.instances"}},
            ]
        )
    )


async def test_a_follower_that_missed_nothing_is_told_so_at_once(
    store: MongoStore, clock: SystemClock
) -> None:
    position = await position_now(store)
    began = clock.monotonic()
    async with following(store, position) as reader:
        await reader.batch()
        await reader.batch()
    assert clock.monotonic() - began < 0.9


async def test_large_events_come_in_batches_of_bounded_weight(store: MongoStore) -> None:
    now = await moment_of(store)
    position = await position_now(store)
    large = [
        an_instance(f"{n:02d}", execution_time=now + HOUR, parameters=bytes(700_000))
        for n in range(12)
    ]
    await insert(store, *large)
    await put_mark(store)
    async with following(store, position) as reader:
        events = await reader.until("mark")
    assert [event.instance for event in events] == large
    assert max(len(batch.events) for batch in reader.read) <= 4
    for batch in reader.read:
        if batch.events:
            assert batch.position >= batch.events[-1].position


async def test_many_events_come_in_portions_and_a_reader_may_resume_behind_each(
    store: MongoStore,
) -> None:
    now = await moment_of(store)
    position = await position_now(store)
    many = [an_instance(f"{n:03d}", execution_time=now + HOUR) for n in range(300)]
    await insert(store, *many)
    await put_mark(store)
    async with following(store, position) as reader:
        events = await reader.until("mark")
    assert [event.instance for event in events] == many
    assert 1 < max(len(batch.events) for batch in reader.read) <= 256
    told = 0
    for batch in reader.read[:-1]:
        told += len(batch.events)
        async with following(store, batch.position) as resumed:
            assert await resumed.until("mark") == events[told:]


async def test_of_many_events_only_a_few_are_decoded_in_one_turn_of_the_loop(
    store: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, position = await moment_of(store), await position_now(store)
    await insert(store, *(an_instance(f"{n:03d}", execution_time=now + HOUR) for n in range(100)))
    await put_mark(store)
    loop, turns, decoded = asyncio.get_running_loop(), 0, Counter[int]()
    decode = feed._event

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    def noting(*arguments: Any) -> Any:
        decoded[turns] += 1
        return decode(*arguments)

    turn()
    monkeypatch.setattr(feed, "_event", noting)
    async with following(store, position) as reader:
        await reader.until("mark")
    assert decoded.total() > 100
    assert max(decoded.values()) <= 32


async def test_what_was_read_ahead_of_a_reader_that_leaves_is_told_to_the_next(
    store: MongoStore, caplog: pytest.LogCaptureFixture
) -> None:
    now = await moment_of(store)
    position = await position_now(store)
    many = [an_instance(f"{n:03d}", execution_time=now + HOUR) for n in range(200)]
    await insert(store, *many)
    async with following(store, position) as reader:
        while not (told := [event for batch in reader.read for event in batch.events]):
            await reader.batch()
        position = reader.read[-1].position
        # On its way to the read that has been begun, and is given up.
        await insert(store, an_instance("later", execution_time=now + HOUR))
    await put_mark(store)
    told += await story_since(store, position)
    assert [event.instance.id for event in told if event.instance] == [
        *(instance.id for instance in many),
        "later",
    ]
    gc.collect()  # asyncio tells of an error that nobody has looked at when its future goes
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize(("weight", "ahead"), [(100, 1), (600_000, 0)])
async def test_of_heavy_events_one_read_is_held_and_of_light_ones_two(
    store: MongoStore, monkeypatch: pytest.MonkeyPatch, weight: int, ahead: int
) -> None:
    asked = 0
    get_more = cursor.get_more

    def counted(*arguments: Any, **options: Any) -> asyncio.Future[dict[str, Any]]:
        nonlocal asked
        asked += 1
        return get_more(*arguments, **options)

    now = await moment_of(store)
    position = await position_now(store)
    await insert(store, an_instance("one", execution_time=now + HOUR, parameters=bytes(weight)))
    monkeypatch.setattr(cursor, "get_more", counted)
    async with following(store, position) as reader:
        while not (await reader.batch()).events:
            pass  # the position that it begins at, and reads that brought nothing
        assert asked == len(reader.read) - 1 + ahead
