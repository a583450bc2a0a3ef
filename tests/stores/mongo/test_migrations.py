"""Migrations go forward: in order, once, by several nodes at once, and on from where one died."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo.database import Database

from later_core.errors import SchemaTooNew
from later_core.stores.mongo.connection import Connection, connect
from later_core.stores.mongo.migrations import MIGRATIONS, Migration, check_schema, migrate
from later_core.stores.mongo.store import MongoStore

MakeStore = Callable[..., MongoStore]
Raw = Database[dict[str, Any]]

DOCUMENTS = 95
BATCH = 10


class PowerCut(Exception):
    pass


class Doubling:
    """Doubles ``size`` into ``weight``, ten documents a step; counts how often each was changed."""

    def __init__(self, *, dies_at: int | None = None) -> None:
        self.begun_at: list[int | None] = []
        self._dies_at = dies_at

    async def __call__(self, connection: Connection, position: int | None) -> int | None:
        self.begun_at.append(position)
        begin = position or 0
        await connection.database["things"].update_many(
            {"_id": {"$gte": begin, "$lt": begin + BATCH}, "size": {"$exists": True}},
            [
                {"$set": {"weight": {"$multiply": ["$size", 2]}}},
                {"$set": {"changed": {"$add": [{"$ifNull": ["$changed", 0]}, 1]}}},
                {"$unset": "size"},
            ],
        )
        if self._dies_at is not None and len(self.begun_at) > self._dies_at:
            raise PowerCut
        return begin + BATCH if begin + BATCH < DOCUMENTS else None


def doubling(step: Doubling, *, oldest: int = 1) -> Migration:
    return Migration(number=1, what="weights for sizes", step=step, oldest=oldest)


@pytest.fixture
def connection(mongodb_uri: str, database: str) -> Iterator[Connection]:
    connection = connect(mongodb_uri, database)
    yield connection
    connection.client.close()


@pytest.fixture
def things(raw: Raw) -> Raw:
    raw["things"].insert_many([{"_id": n, "size": n} for n in range(DOCUMENTS)])
    raw["meta"].insert_one({"_id": "schema", "version": 1})
    return raw


def assert_each_was_changed_once(raw: Raw) -> None:
    expected = [{"_id": n, "weight": 2 * n, "changed": 1} for n in range(DOCUMENTS)]
    assert list(raw["things"].find(sort=[("_id", 1)])) == expected


def test_the_numbers_of_all_that_were_ever_made_have_no_gaps() -> None:
    assert [each.number for each in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


async def test_every_batch_is_changed_and_the_next_start_finds_nothing_to_do(
    connection: Connection, things: Raw
) -> None:
    step = Doubling()
    await migrate(connection, [doubling(step)])
    assert_each_was_changed_once(things)
    assert step.begun_at == [None, *range(BATCH, DOCUMENTS, BATCH)]
    assert things["meta"].find_one() == {"_id": "schema", "version": 1, "migrated": 1}

    await migrate(connection, [doubling(step)])
    assert len(step.begun_at) == 10


async def test_they_come_in_order_and_each_begins_at_the_beginning(
    connection: Connection, things: Raw
) -> None:
    seen: list[tuple[int, int | None]] = []

    def step(number: int) -> Callable[[Connection, int | None], Any]:
        async def do(_: Connection, position: int | None) -> int | None:
            seen.append((number, position))
            return 7 if position is None else None

        return do

    migrations = [Migration(number=n, what=f"the {n}th", step=step(n)) for n in (1, 2, 3)]
    await migrate(connection, migrations[:1])
    await migrate(connection, migrations)
    assert seen == [(1, None), (1, 7), (2, None), (2, 7), (3, None), (3, 7)]


async def test_one_that_died_is_continued_where_it_stood(
    connection: Connection, things: Raw
) -> None:
    with pytest.raises(PowerCut):
        await migrate(connection, [doubling(Doubling(dies_at=3))])
    assert things["meta"].find_one() == {"_id": "schema", "version": 1, "position": 30}

    step = Doubling()
    await migrate(connection, [doubling(step)])
    assert step.begun_at == list(range(30, DOCUMENTS, BATCH))
    assert_each_was_changed_once(things)


async def test_several_nodes_at_once_share_it(
    connection: Connection, mongodb_uri: str, database: str, things: Raw
) -> None:
    other = connect(mongodb_uri, database)
    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for each in (connection, other, connection):
                group.create_task(migrate(each, [doubling(Doubling())]))
    finally:
        other.client.close()
    assert_each_was_changed_once(things)
    assert things["meta"].find_one() == {"_id": "schema", "version": 1, "migrated": 1}


async def test_a_node_that_slept_moves_nothing_back(connection: Connection, things: Raw) -> None:
    """It finishes its batch after others have finished the whole migration, and the next one."""
    woken = asyncio.Event()
    asleep = asyncio.Event()
    quick = Doubling()

    async def slow(connection: Connection, position: int | None) -> int | None:
        asleep.set()
        await woken.wait()
        return await Doubling()(connection, position)

    second = Migration(number=2, what="nothing", step=_nothing)
    sleeper = Migration(number=1, what="weights for sizes", step=slow)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        slept = group.create_task(migrate(connection, [sleeper]))
        await asleep.wait()
        await migrate(connection, [doubling(quick), second])
        woken.set()
        await slept
    assert_each_was_changed_once(things)
    assert things["meta"].find_one() == {"_id": "schema", "version": 1, "migrated": 2}


async def _nothing(_: Connection, __: int | None) -> None:
    return None


async def test_a_migration_may_shut_out_the_versions_that_do_not_know_it(
    connection: Connection, things: Raw, make_store: MakeStore
) -> None:
    with pytest.raises(SchemaTooNew):
        # This very version does not know schema 2, and says so at its next look.
        await migrate(connection, [doubling(Doubling(), oldest=2)])
    assert_each_was_changed_once(things)
    with pytest.raises(SchemaTooNew, match="upgrade later-core"):
        await make_store().open()


async def test_until_it_is_done_the_version_before_may_still_start(
    connection: Connection, things: Raw, make_store: MakeStore
) -> None:
    with pytest.raises(PowerCut):
        await migrate(connection, [doubling(Doubling(dies_at=3), oldest=2)])
    async with make_store():
        pass


async def test_the_version_before_starts_on_what_a_newer_one_has_migrated(
    things: Raw, make_store: MakeStore
) -> None:
    newest = {"_id": "schema", "version": 1, "migrated": 1000}
    things["meta"].replace_one({"_id": "schema"}, newest)
    async with make_store():
        pass
    assert things["meta"].find_one() == newest


async def test_a_new_database_says_which_schema_it_has(connection: Connection, raw: Raw) -> None:
    await check_schema(connection)
    await migrate(connection)
    assert raw["meta"].find_one({}, {"version": 1, "_id": 0}) == {"version": 1}
