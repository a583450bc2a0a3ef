"""Slots of concurrency keys: one document a key, with all that are held of it.

``{_id: key, holders: [{node, serial, id}], idle_time}``. A key is a small document that changes often and
is looked at as a whole, so that "fewer than the limit" and "one more" are one update of it. One that
nobody holds any more has an ``idle_time`` and is removed by a TTL index a while later; an update that
comes in between takes the time away, and the document stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from later_core.model.concurrency import Gated, Slot
from later_core.model.instant import to_millis
from later_core.stores.mongo import cursor, nodes
from later_core.stores.mongo.connection import Connection, Document
from later_core.stores.mongo.documents import UnreadableRecord, logger, to_instance
from later_core.stores.mongo.errors import DUPLICATE_KEY

#: Just what admission needs of an instance, and what every instance has.
_NEEDED: Document = dict.fromkeys(
    (
        *("task", "state", "execution_time", "create_time", "attempt", "revision"),
        *("concurrency", "start_deadline", "priority"),
    ),
    1,
)


async def gated(
    connection: Connection, ids: Sequence[str], *, until: datetime, tasks: Collection[str]
) -> Sequence[Gated]:
    """As ``Store.gated`` promises it."""
    with connection.call():
        batch = await cursor.find(
            connection,
            "instances",
            {
                "_id": {"$in": list(ids)},
                "state": "PENDING",
                "execution_time": {"$lte": until},
                "$or": [{"concurrency": {"$ne": None}}, {"task": {"$in": sorted(tasks)}}],
            },
            projection=_NEEDED,
            hint="_id_",
        )
    return [found for row in batch.documents if (found := _gated(row)) is not None]


def _gated(row: Document) -> Gated | None:
    try:
        instance = to_instance(row)
    except UnreadableRecord as error:
        logger.error("unreadable record", id=str(row.get("_id")), detail=str(error))
        return None
    return Gated(
        id=instance.id,
        task=instance.task,
        due_ms=to_millis(instance.execution_time),
        concurrency=instance.concurrency,
        priority=instance.priority,
        start_deadline=instance.start_deadline,
    )


async def take(connection: Connection, slots: Sequence[Slot]) -> Sequence[bool]:
    """As ``Store.take_slots`` promises it: one update for each key, one read for all."""
    if not slots:
        return []
    by_key: defaultdict[str, list[Slot]] = defaultdict(list)
    for slot in slots:
        by_key[slot.key].append(slot)
    updates = [
        UpdateOne({"_id": key}, _taking(wanted), upsert=True, hint="_id_")
        for key, wanted in by_key.items()
    ]
    with connection.call():
        try:
            await connection.slots.bulk_write(updates, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            others = [one for one in details.get("writeErrors", []) if one["code"] != DUPLICATE_KEY]
            # Two nodes that made the same key at once: one of them has not got its slot, no more.
            if others or details.get("writeConcernErrors"):
                raise
    held = await _held(connection, by_key)
    return [(slot.key, slot.node, slot.serial) in held for slot in slots]


async def give_back(connection: Connection, slots: Sequence[Slot]) -> None:
    """As ``Store.give_back_slots`` promises it."""
    by_key: defaultdict[str, list[Slot]] = defaultdict(list)
    for slot in slots:
        by_key[slot.key].append(slot)
    updates = [
        UpdateOne({"_id": key}, _keeping({"$not": [_is_one_of(gone)]}), hint="_id_")
        for key, gone in by_key.items()
    ]
    if updates:
        with connection.call():
            await connection.slots.bulk_write(updates, ordered=False)


async def sweep(connection: Connection, node: str, *, up_to: int, keep: Collection[int]) -> None:
    """As ``Store.sweep_slots`` promises it."""
    is_stray = {
        "$and": [
            {"$eq": ["$$this.node", {"$literal": node}]},
            {"$lte": ["$$this.serial", up_to]},
            {"$not": [{"$in": ["$$this.serial", sorted(keep)]}]},
        ]
    }
    stray = {"node": node, "serial": {"$lte": up_to, "$nin": sorted(keep)}}
    with connection.call():
        await connection.slots.update_many(
            {"holders.node": node, "holders": {"$elemMatch": stray}},
            _keeping({"$not": [is_stray]}),
        )


async def free(connection: Connection) -> None:
    """As ``Store.free_slots`` promises it.

    The holders are read before the living: whoever holds a slot has begun its lease before, and is
    seen among the living, unless it is dead or has left for good.
    """
    with connection.call():
        reply = await connection.command(
            {"distinct": "slots", "key": "holders.node", "readConcern": cursor.MAJORITY}
        )
    lost = set(reply["values"]) - await nodes.living(connection)
    if lost:
        with connection.call():
            await connection.slots.update_many(
                {"holders.node": {"$in": sorted(lost)}},
                _keeping({"$not": [{"$in": ["$$this.node", {"$literal": sorted(lost)}]}]}),
            )


async def holders(connection: Connection, key: str) -> Sequence[Slot]:
    """As ``Store.slots`` promises it."""
    with connection.call():
        batch = await cursor.find(connection, "slots", {"_id": key})
    return [
        Slot(key=key, id=one["id"], node=one["node"], serial=int(one["serial"]), limit=0)
        for row in batch.documents
        for one in row["holders"]
    ]


async def _held(connection: Connection, keys: Iterable[str]) -> set[tuple[str, str, int]]:
    with connection.call():
        batch = await cursor.find(connection, "slots", {"_id": {"$in": list(keys)}}, hint="_id_")
    return {
        (row["_id"], one["node"], int(one["serial"]))
        for row in batch.documents
        for one in row["holders"]
    }


def _taking(wanted: Sequence[Slot]) -> list[Document]:
    """One after the other, each only while fewer than its limit are held, and none twice."""
    wants = [
        {"limit": slot.limit, "holder": {"node": slot.node, "serial": slot.serial, "id": slot.id}}
        for slot in wanted
    ]
    is_refused = {
        "$or": [
            {"$gte": [{"$size": "$$value"}, "$$this.limit"]},
            {"$in": ["$$this.holder", "$$value"]},
        ]
    }
    return _setting(
        {
            "$reduce": {
                "input": {"$literal": wants},
                "initialValue": {"$ifNull": ["$holders", []]},
                "in": {
                    "$cond": [
                        is_refused,
                        "$$value",
                        {"$concatArrays": ["$$value", ["$$this.holder"]]},
                    ]
                },
            }
        }
    )


def _is_one_of(slots: Sequence[Slot]) -> Document:
    names = [{"node": slot.node, "serial": slot.serial} for slot in slots]
    return {"$in": [{"node": "$$this.node", "serial": "$$this.serial"}, {"$literal": names}]}


def _keeping(condition: Document) -> list[Document]:
    """The holders that meet the condition, of which each is ``$$this``."""
    kept = {"$filter": {"input": "$holders", "as": "this", "cond": condition}}
    return _setting(kept)


def _setting(holders: Document) -> list[Document]:
    is_idle = {"$eq": ["$holders", []]}
    return [
        {"$set": {"holders": holders}},
        {
            "$set": {
                "idle_time": {"$cond": [is_idle, {"$ifNull": ["$idle_time", "$$NOW"]}, "$$REMOVE"]}
            }
        },
    ]
