"""Reads that bring a whole batch in one hop to the driver's threads.

The driver's own cursors hop once a batch at best and once a document at worst, and hide what the
server says of its cursor: whether there is more, the moment read, the resume token.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from bson import Int64
from motor.motor_asyncio import AsyncIOMotorClientSession

from later_core.stores.mongo.connection import Connection, Document

MAJORITY: Document = {"level": "majority"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents of one reply. ``cursor`` is 0 when the server holds no more of them.

    ``details`` is the server's description of its cursor (resume token, moment read).
    """

    documents: list[Document]
    cursor: int
    details: Document
    reply: Document


async def find(
    connection: Connection,
    collection: str,
    query: Document,
    *,
    limit: int = 0,
    read_concern: Document | None = None,
    **options: Any,
) -> Batch:
    """One find on the primary, its first batch alone; what the server still held is let go.

    ``cursor`` tells then that the batch was cut short by its size, so that there is more behind it.
    """
    batch = await _batch(
        connection,
        {
            "find": collection,
            "filter": query,
            # Without a limit the first batch would be one of 101 documents.
            "batchSize": limit or 1_000_000,
            **({"limit": limit} if limit else {}),
            "readConcern": read_concern or MAJORITY,
            **options,
        },
    )
    if batch.cursor:
        await kill(connection, collection, batch.cursor)
    return batch


async def aggregate(
    connection: Connection,
    collection: str,
    pipeline: list[Document],
    *,
    batch_size: int = 1_000_000,
    session: AsyncIOMotorClientSession | None = None,
    **options: Any,
) -> Batch:
    """One aggregate on the primary, its first batch alone. The caller owns the cursor."""
    return await _batch(
        connection,
        {
            "aggregate": collection,
            "pipeline": pipeline,
            "cursor": {"batchSize": batch_size},
            "readConcern": MAJORITY,
            **options,
        },
        session=session,
    )


def get_more(
    connection: Connection,
    collection: str,
    cursor: int,
    *,
    batch_size: int,
    wait_ms: int,
    session: AsyncIOMotorClientSession,
) -> asyncio.Future[Document]:
    """Ask for the next batch of a cursor that waits for news, empty after this many milliseconds.

    It is on its way when this returns; ``batch_of`` makes the reply a batch.
    """
    return connection.begin(
        {
            "getMore": Int64(cursor),
            "collection": collection,
            "batchSize": batch_size,
            "maxTimeMS": wait_ms,
        },
        session=session,
    )


async def kill(connection: Connection, collection: str, cursor: int) -> None:
    """Let the server forget a cursor."""
    await connection.command({"killCursors": collection, "cursors": [Int64(cursor)]})


async def _batch(connection: Connection, command: Document, **options: Any) -> Batch:
    return batch_of(await connection.command(command, **options))


def batch_of(reply: Document) -> Batch:
    """The batch that a reply brings."""
    details = reply["cursor"]
    documents = details["firstBatch"] if "firstBatch" in details else details["nextBatch"]
    return Batch(documents, int(details["id"]), details, reply)
