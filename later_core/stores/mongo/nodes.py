"""Who lives: leases, given and judged by the database's clock alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from later_core.errors import NodeNotFound, StoreUnavailable
from later_core.model.node import Node, NodeStatus
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import duration_field, to_instant

#: Beats of one new node that met each other, before the caller is asked to come back.
_ROUNDS = 3

#: More than a cluster has.
_MOST_NODES = 1_000

#: Nodes that died within the last hour are still told of.
_LIVING_OR_LATELY_DEAD: Document = {
    "$or": [
        {"state": "ALIVE"},
        {"$expr": {"$gt": ["$dead_time", {"$subtract": ["$$NOW", 3_600_000]}]}},
    ]
}

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
        "window_size": node.window_size,
        "running": node.running,
        "is_draining": node.is_draining,
        "is_drained": node.is_drained,
        "clock_offset": duration_field(node.clock_offset),
        "has_local_database": node.has_local_database,
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


async def statuses(connection: Connection) -> Sequence[NodeStatus]:
    """As ``Store.nodes`` promises it."""
    with connection.call():
        batch = await cursor.find(
            connection, "nodes", _LIVING_OR_LATELY_DEAD, sort={"_id": 1}, limit=_MOST_NODES
        )
    return [_status(record) for record in batch.documents]


async def ask_to_drain(connection: Connection, node: str) -> NodeStatus:
    """As ``Store.ask_to_drain`` promises it."""
    with connection.call():
        record: Document | None = await connection.nodes.find_one_and_update(
            {"_id": node, "state": "ALIVE"},
            {"$set": {"is_asked_to_drain": True}},
            return_document=ReturnDocument.AFTER,
        )
    if record is None:
        raise NodeNotFound(node)
    return _status(record)


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


def _status(record: Document) -> NodeStatus:
    # Another version may have written it: what is missing is as if it had not been said.
    offset = record.get("clock_offset")
    return NodeStatus(
        node=Node(
            id=str(record["_id"]),
            address=str(record.get("address", "")),
            version=str(record.get("version", "")),
            tasks=tuple(record.get("tasks", ())),
            started_at=to_instant(record["started_at"]),
            window_size=int(record.get("window_size", 0)),
            running=int(record.get("running", 0)),
            is_draining=bool(record.get("is_draining", False)),
            is_drained=bool(record.get("is_drained", False)),
            clock_offset=None if offset is None else timedelta(microseconds=int(offset)),
            has_local_database=bool(record.get("has_local_database", False)),
        ),
        beat_time=to_instant(record["beat_time"]),
        is_alive=record.get("state") == "ALIVE",
        is_asked_to_drain=bool(record.get("is_asked_to_drain", False)),
    )


async def _is_dead(connection: Connection, node: str) -> bool:
    batch = await cursor.find(connection, "nodes", {"_id": node, "state": "DEAD"}, limit=1)
    return bool(batch.documents)
