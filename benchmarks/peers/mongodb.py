"""The MongoDB that Later and the peers are measured on: the one that ``later-core[embedded]`` brings."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient

from later_core.ports.clock import SystemClock
from later_core.stores.mongo.embedded import EmbeddedMongo


@contextlib.asynccontextmanager
async def private_mongod(directory: Path) -> AsyncIterator[str]:
    """A replica set of one, of this run alone; gives its URI."""
    async with EmbeddedMongo(data_dir=directory, clock=SystemClock()) as mongod:
        yield mongod.uri


async def drop(uri: str, database: str) -> None:
    """Delete all that a peer stored."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri)
    try:
        await client.drop_database(database)
    finally:
        client.close()


async def count(uri: str, database: str, filters: Mapping[str, Mapping[str, Any]]) -> int:
    """How many documents the filters of these collections find together."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri)
    try:
        found = [
            await client[database][name].count_documents(each) for name, each in filters.items()
        ]
        return sum(found)
    finally:
        client.close()


async def version(uri: str) -> str:
    """The version of the server."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri)
    try:
        return str((await client.server_info())["version"])
    finally:
        client.close()
