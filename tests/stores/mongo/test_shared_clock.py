"""The database's clock is taken for this machine's only where no doubt is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from later_core.ports.clock import Clock, SystemClock
from later_core.stores.mongo.embedded import EmbeddedMongo
from later_core.stores.mongo.store import MongoStore

pytestmark = pytest.mark.timeout(120)


class _ClockOfItsOwn(SystemClock):
    """A machine that believes it is later than its kernel says."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=1)


def store_at(uri: str, clock: Clock | None = None) -> MongoStore:
    return MongoStore(
        uri=uri, database="later", retention=timedelta(days=1), clock=clock or SystemClock()
    )


@asynccontextmanager
async def passed_on(to: Path, at: Path) -> AsyncIterator[None]:
    """A socket of this process, at which every connection is passed on, as ``ssh -L`` does."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_unix_connection(str(to))
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, onward[1]))
            group.create_task(pump(onward[0], writer))

    async with await asyncio.start_unix_server(serve, str(at)):
        yield


async def test_a_mongod_at_a_socket_of_this_machine_shares_its_clock(tmp_path: Path) -> None:
    async with EmbeddedMongo(data_dir=tmp_path / "data", clock=SystemClock()) as mongo:
        async with store_at(mongo.uri) as store:
            assert store.shares_clock

        async with store_at(mongo.uri, _ClockOfItsOwn()) as store:
            assert not store.shares_clock

        socket = tmp_path / "on.sock"
        async with passed_on(tmp_path / "data" / "mongodb" / "mongod.sock", socket):
            uri = f"mongodb://{quote(str(socket), safe='')}/?directConnection=true"
            async with store_at(uri) as store:
                assert not store.shares_clock


async def test_a_mongod_at_a_port_has_a_clock_of_its_own(mongodb_uri: str, database: str) -> None:
    store = MongoStore(
        uri=mongodb_uri, database=database, retention=timedelta(days=1), clock=SystemClock()
    )
    async with store:
        assert not store.shares_clock
