"""How many instances of a principal are PENDING, from an index that is only made where somebody has a limit.

It is partial on the PENDING ones that have a principal: each create of such an instance pays for it, and
so does its claim. Its two fields answer a count without a look at a record. Dropped, it is made again by
the next count that needs it.
"""

from __future__ import annotations

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from later_core.model.state import State
from later_core.stores.mongo import cursor, queries
from later_core.stores.mongo.connection import (
    BUILD_SECONDS,
    SCAN_SECONDS,
    Connection,
    Document,
)
from later_core.stores.mongo.errors import BAD_VALUE, code_of

PENDING_INDEX = "pending"

_PENDING = IndexModel(
    [("state", 1), ("principal", 1)],
    name=PENDING_INDEX,
    partialFilterExpression={"state": State.PENDING.value, "principal": {"$exists": True}},
)


async def prepare(connection: Connection) -> None:
    """As ``Store.prepare_pending_counts`` promises it. Over much that is stored it takes its time."""
    with connection.call(BUILD_SECONDS):
        await connection.instances.create_indexes([_PENDING])


async def count(connection: Connection, principal: str, *, at_most: int) -> int:
    """As ``Store.count_pending`` promises it."""
    query: Document = {"state": State.PENDING.value}
    if not principal:
        return await _count(connection, query, queries.DUE_INDEX, at_most)
    query["principal"] = principal
    found = await _counted(connection, query, at_most)
    if found is None:
        await prepare(connection)
        found = await _count(connection, query, PENDING_INDEX, at_most)
    return found


async def _counted(connection: Connection, query: Document, at_most: int) -> int | None:
    """None: there is no such index."""
    with connection.call(SCAN_SECONDS):
        try:
            return await _reply(connection, query, PENDING_INDEX, at_most)
        except OperationFailure as error:
            if code_of(error) != BAD_VALUE:
                raise
            return None


async def _count(connection: Connection, query: Document, hint: str, at_most: int) -> int:
    with connection.call(SCAN_SECONDS):
        return await _reply(connection, query, hint, at_most)


async def _reply(connection: Connection, query: Document, hint: str, at_most: int) -> int:
    reply = await connection.command(
        {
            "count": "instances",
            "query": query,
            "hint": hint,
            "limit": at_most,
            "readConcern": cursor.MAJORITY,
        }
    )
    return int(reply["n"])
