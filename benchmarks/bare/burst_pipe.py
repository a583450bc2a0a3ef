"""Claim, call and finish by the driver alone: the same fields as Later's, no scheduler around.

Batches of 1,000, three in flight. Each batch is one update that claims with a token, one read by the
token, a call of a coroutine for each, and one write of all the ends. Two ways of writing the ends:

``each``
    a bulk of one update an instance, fenced, with times of its own, as a careful author would write;
``same``
    one update for all of a batch, with one time for all of them: the fastest there is.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pymongo import UpdateOne

from benchmarks.bare.documents import maker
from benchmarks.harness.requests import BATCH
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import Connection
from later_core.stores.mongo.indexes import prepare

IN_FLIGHT = 3
_MARK_BYTES = 12

Ends = Literal["each", "same"]


@dataclass(slots=True)
class Burst:
    """What became of it."""

    ids: Sequence[str]
    begun: list[str] = field(default_factory=list)
    finished: int = 0
    seconds: float = 0.0


async def prepare_burst(connection: Connection, count: int) -> list[str]:
    """Store so many that are due now; answers their ids in the order of the index."""
    await prepare(connection, retention=timedelta(days=7))
    make, due, ids = maker(), datetime.now(UTC), list[str]()
    for at in range(0, count, BATCH):
        documents = [make(due) for _ in range(min(BATCH, count - at))]
        await connection.instances.insert_many(documents, ordered=False)
        ids += [document["_id"] for document in documents]
    return sorted(ids)


async def burst(connection: Connection, ids: Sequence[str], *, ends: Ends) -> Burst:
    """Claim, call and finish them all."""
    outcome = Burst(ids)
    waiting = [ids[at : at + BATCH] for at in range(0, len(ids), BATCH)]
    waiting.reverse()

    async def work() -> None:
        while waiting:
            await _batch(connection, waiting.pop(), outcome, ends)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _batch(connection: Connection, ids: Sequence[str], outcome: Burst, ends: Ends) -> None:
    token = uuid.uuid4().hex
    await connection.instances.update_many(
        {
            "_id": {"$in": list(ids)},
            "state": "PENDING",
            "execution_time": {"$lte": datetime.now(UTC)},
        },
        {
            "$set": {"state": "RUNNING", "node": "bare", "claim": token},
            "$inc": {"attempt": 1, "revision": 1},
            "$unset": {"start_time": "", "error": ""},
        },
        hint="_id_",
    )
    found = await cursor.find(
        connection, "instances", {"_id": {"$in": list(ids)}, "claim": token}, hint="_id_"
    )
    begun = []
    for document in found.documents:
        begun.append((document["_id"], document["attempt"], datetime.now(UTC)))
        await _call(document)
    outcome.begun += [id for id, _, _ in begun]
    write = _finish_each if ends == "each" else _finish_same
    finished = await write(connection, begun)
    outcome.finished += finished


async def _call(document: dict[str, Any]) -> None:
    """The task's code."""


async def _finish_each(connection: Connection, begun: Sequence[tuple[str, int, datetime]]) -> int:
    updates = [
        UpdateOne(
            {"_id": id, "state": "RUNNING", "node": "bare", "attempt": attempt},
            {"$set": _end(start_time), "$inc": {"revision": 1}},
        )
        for id, attempt, start_time in begun
    ]
    return (await connection.instances.bulk_write(updates, ordered=False)).matched_count


async def _finish_same(connection: Connection, begun: Sequence[tuple[str, int, datetime]]) -> int:
    result = await connection.instances.update_many(
        {
            "_id": {"$in": [id for id, _, _ in begun]},
            "state": "RUNNING",
            "node": "bare",
            "attempt": 1,
        },
        {"$set": _end(begun[0][2]), "$inc": {"revision": 1}},
        hint="_id_",
    )
    return int(result.matched_count)


def _end(start_time: datetime) -> dict[str, Any]:
    return {
        "state": "SUCCEEDED",
        "start_time": start_time,
        "finish_time": datetime.now(UTC),
        "result": None,
        "error": None,
        "ending": bytes(_MARK_BYTES),
    }
