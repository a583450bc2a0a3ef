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


async def values(
    uri: str, database: str, collection: str, query: Mapping[str, Any], field: str
) -> set[Any]:
    """What the documents that this query finds hold in a field, which may be a path."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri)
    try:
        steps: list[dict[str, Any]] = [
            {"$match": query},
            {"$project": {"_id": 0, "found": f"${field}"}},
        ]
        cursor = client[database][collection].aggregate(steps)
        return {document["found"] async for document in cursor}
    finally:
        client.close()


async def version(uri: str) -> str:
    """The version of the server."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(uri)
    try:
        return str((await client.server_info())["version"])
    finally:
        client.close()
