"""A MongoStore on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pymongo
import pytest
from pymongo.database import Database

from later_core.ports.clock import SystemClock
from later_core.stores.mongo.store import MongoStore


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
async def store(mongodb_uri: str, database: str, clock: SystemClock) -> AsyncIterator[MongoStore]:
    async with MongoStore(
        uri=mongodb_uri, database=database, retention=timedelta(days=7), clock=clock
    ) as store:
        yield store


@pytest.fixture
def raw(mongodb_uri: str, database: str) -> Iterator[Database[dict[str, object]]]:
    """The same database by the driver alone, for what no promise speaks of."""
    with pymongo.MongoClient[dict[str, object]](mongodb_uri, tz_aware=True) as client:
        yield client[database]
