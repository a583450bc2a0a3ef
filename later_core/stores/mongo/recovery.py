"""Running instances taken from nodes that died."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from later_core.model.attempts import NODE_LOST
from later_core.model.instance import Instance
from later_core.model.state import State
from later_core.stores.mongo import claims, cursor, histories, nodes, queries
from later_core.stores.mongo.connection import SCAN_SECONDS, Connection, Document
from later_core.stores.mongo.documents import error_field


async def recover(connection: Connection, *, limit: int) -> Sequence[Instance]:
    """As ``Store.recover`` promises it.

    The running are read before the living: whoever claimed an instance that was read has begun its
    lease before, and is seen among the living.
    """
    await nodes.bury(connection)
    orphans = await _running_elsewhere(connection, await nodes.living(connection), limit)
    if not orphans:
        return []
    living = await nodes.living(connection)
    lost = {id: node for id, node in orphans.items() if node not in living}
    if not lost:
        return []
    token = claims.new_token()
    await _take(connection, lost, token)
    taken = await claims.marked(connection, list(lost), {"taken": token})
    return [_as_taken(instance, lost[instance.id]) for instance in taken]


async def _running_elsewhere(
    connection: Connection, living: frozenset[str], limit: int
) -> dict[str, str | None]:
    """RUNNING instances of nodes that are not among these, and whose they are."""
    with connection.call(SCAN_SECONDS):
        batch = await cursor.find(
            connection,
            "instances",
            {"state": "RUNNING", "node": {"$nin": sorted(living)}, **claims.COUNTABLE},
            limit=limit,
            projection={"node": 1},
            sort=queries.IN_ORDER,
            hint=queries.DUE_INDEX,
        )
    return {row["_id"]: row.get("node") for row in batch.documents}


async def _take(connection: Connection, lost: dict[str, str | None], token: str) -> None:
    """Compare and set: still RUNNING, and by one of the nodes that are lost."""
    at_most_once = {"$eq": ["$delivery", "AT_MOST_ONCE"]}

    ended = histories.of_running(end_time="$$NOW", error=NODE_LOST)
    one_more = {"$add": [{"$ifNull": ["$uncounted_attempts", 0]}, 1]}

    def either(failed: object, pending: object) -> Document:
        return {"$cond": [at_most_once, failed, pending]}

    with connection.call():
        await connection.instances.update_many(
            {
                "_id": {"$in": list(lost)},
                "state": "RUNNING",
                "node": {"$in": list(set(lost.values()))},
                **claims.COUNTABLE,
            },
            [
                {
                    "$set": {
                        "state": either("FAILED", "PENDING"),
                        "execution_time": either("$execution_time", "$$NOW"),
                        "uncounted_attempts": either("$uncounted_attempts", one_more),
                        "finish_time": either("$$NOW", None),
                        "error": {"$literal": error_field(NODE_LOST)},
                        "attempts": either("$attempts", histories.appended(ended)),
                        "revision": {"$add": ["$revision", 1]},
                        "taken": token,
                    }
                },
                {"$unset": "claim"},
            ],
            hint="_id_",
        )


def _as_taken(instance: Instance, node: str | None) -> Instance:
    """The instance as it was when it was taken; a node may have claimed it since."""
    if instance.state is not State.RUNNING:
        return instance
    return replace(
        instance,
        state=State.PENDING,
        node=node,
        attempt=instance.attempt - 1,
        revision=instance.revision - 1,
        error=NODE_LOST,
    )
