"""Who lives: leases, given and judged by the database's clock alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from later_core.errors import StoreUnavailable
from later_core.model.node import Node
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import to_instant

#: Beats of one new node that met each other, before the caller is asked to come back.
_ROUNDS = 3

_MILLISECOND = timedelta(milliseconds=1)


async def beat(connection: Connection, node: Node, *, lease: timedelta) -> datetime | None:
    """As ``Store.beat`` promises it.

    A node that was declared dead is not met by the update, which would then insert it anew, and
    cannot: its record keeps the id.
    """
    content = {
        "address": node.address,
        "version": node.version,
        "tasks": list(node.tasks),
        "started_at": node.started_at,
    }
    update = [
        {
            "$set": {
                **{name: {"$literal": value} for name, value in content.items()},
                "state": "ALIVE",
                "beat_time": "$$NOW",
                "expire_time": {"$add": ["$$NOW", lease // _MILLISECOND]},
            }
        }
    ]
    for _ in range(_ROUNDS):
        with connection.call():
            try:
                record: Document = await connection.nodes.find_one_and_update(
                    {"_id": node.id, "state": {"$ne": "DEAD"}},
                    update,
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                if await _is_dead(connection, node.id):
                    return None
            else:
                return to_instant(record["beat_time"])
    raise StoreUnavailable("the node's record changed each time it was looked at")


async def leave(connection: Connection, node: str) -> None:
    """As ``Store.leave`` promises it. What others have declared dead stays so."""
    with connection.call():
        await connection.nodes.delete_one({"_id": node, "state": {"$ne": "DEAD"}})


async def bury(connection: Connection) -> None:
    """Declare dead, for ever, each node whose lease has run out."""
    with connection.call():
        await connection.nodes.update_many(
            {"state": "ALIVE", "$expr": {"$lte": ["$expire_time", "$$NOW"]}},
            [{"$set": {"state": "DEAD", "dead_time": "$$NOW"}}],
        )


async def living(connection: Connection) -> frozenset[str]:
    """The nodes that nobody has declared dead."""
    with connection.call():
        batch = await cursor.find(connection, "nodes", {"state": "ALIVE"}, projection={"_id": 1})
    return frozenset(str(record["_id"]) for record in batch.documents)


async def _is_dead(connection: Connection, node: str) -> bool:
    batch = await cursor.find(connection, "nodes", {"_id": node, "state": "DEAD"}, limit=1)
    return bool(batch.documents)
