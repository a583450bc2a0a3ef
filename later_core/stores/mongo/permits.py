"""Permits of tasks with a rate limit: one document a task, by the database's clock.

``{_id: task, next_us, first_us, granted}``: when the next permit is for, and what the last call got. The
update is ``later_core.model.rate.reserve`` in the words of the server, so that one write reserves many.
"""

from __future__ import annotations

from datetime import timedelta

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from later_core.errors import StoreUnavailable
from later_core.model.rate import Permits, RateLimit
from later_core.stores.mongo.connection import Connection, Document

_MICROSECOND = timedelta(microseconds=1)

#: Calls that made the document of a task at once, before the caller is asked to come back.
_ROUNDS = 3


async def reserve(
    connection: Connection, task: str, rate: RateLimit, *, count: int, ahead: timedelta
) -> Permits:
    """As ``Store.reserve_permits`` promises it."""
    update = _reserving(rate, count=count, ahead_us=ahead // _MICROSECOND)
    for _ in range(_ROUNDS):
        with connection.call():
            try:
                record: Document = await connection.permits.find_one_and_update(
                    {"_id": task}, update, upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:
                continue
        return Permits(
            first_us=int(record["first_us"]),
            count=int(record["granted"]),
            next_us=int(record["next_us"]),
        )
    raise StoreUnavailable("the permits of the task were made anew each time")


def _reserving(rate: RateLimit, *, count: int, ahead_us: int) -> list[Document]:
    spacing = rate.spacing_us
    now_us: Document = {"$multiply": [{"$toLong": "$$NOW"}, 1000]}
    until_us: Document = {"$add": [now_us, ahead_us]}
    free: Document = {
        "$add": [{"$floor": {"$divide": [{"$subtract": [until_us, "$first_us"]}, spacing]}}, 1]
    }
    return [
        {
            "$set": {
                "first_us": {
                    "$max": [
                        {"$ifNull": ["$next_us", 0]},
                        {"$subtract": [now_us, (rate.burst - 1) * spacing]},
                    ]
                }
            }
        },
        {"$set": {"granted": {"$toLong": {"$min": [count, {"$max": [0, free]}]}}}},
        {"$set": {"next_us": {"$add": ["$first_us", {"$multiply": ["$granted", spacing]}]}}},
    ]
