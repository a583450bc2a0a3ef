"""Fill a database with pending instances, past the server: millions of them in minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pymongo import WriteConcern

from benchmarks.bare.documents import maker
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.indexes import prepare

_BATCH = 5_000
_IN_FLIGHT = 2

#: Far outside every window, and spread over days.
FAR = timedelta(days=2)
SPREAD = timedelta(days=30)


async def fill(
    connection: Connection, count: int, *, first: datetime | None = None, over: timedelta = SPREAD
) -> None:
    """Store so many, due evenly over that time, from ``first`` on (two days ahead unless given).

    Written to the primary alone and awaited at the end: what is measured comes later.
    """
    await prepare(connection, retention=timedelta(days=7))
    begin = _whole(first or datetime.now(UTC) + FAR)
    collection = connection.instances.with_options(write_concern=WriteConcern(w=1, j=False))
    batches = _batches(begin, over, count)

    async def work() -> None:
        for batch in batches:
            await collection.insert_many(batch, ordered=False)

    async with asyncio.TaskGroup() as group:
        for _ in range(_IN_FLIGHT):
            group.create_task(work())
    # On the disk, so that no checkpoint of it falls into what is measured.
    await connection.admin({"fsync": 1})


def _batches(first: datetime, over: timedelta, count: int) -> Iterator[list[Document]]:
    make = maker()
    for at in range(0, count, _BATCH):
        numbers = range(at, min(at + _BATCH, count))
        yield [make(_whole(first + over * (number / count))) for number in numbers]


def _whole(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
