"""Wait until everything of a task has ended, asking MongoDB so that it costs next to nothing."""

from __future__ import annotations

from collections.abc import Collection

from benchmarks.harness.tasks import NOOP
from benchmarks.harness.waiting import until
from later_core.model.instant import from_millis
from later_core.stores.mongo import cursor
from later_core.stores.mongo.connection import Connection
from later_core.stores.mongo.queries import DUE_INDEX


async def until_ended(
    connection: Connection, *, until_ms: int, seconds: float, every: float = 0.01
) -> None:
    """Return once nothing due by then is PENDING or RUNNING, by a majority.

    Walks the index backwards: forwards, each question would step over all that has been claimed.

    Raises:
        TimeoutError.

    """
    limit = from_millis(until_ms)
    left = ["PENDING", "RUNNING"]

    async def has_ended() -> bool:
        while left:
            batch = await cursor.find(
                connection,
                "instances",
                {"state": left[0], "execution_time": {"$lte": limit}},
                limit=1,
                projection={"_id": 1, "task": 1},
                sort={"execution_time": -1, "_id": -1},
                hint=DUE_INDEX,
            )
            if batch.documents:
                return False
            left.pop(0)
        return True

    await until("everything has ended", has_ended, seconds=seconds, every=every)


async def succeeded(connection: Connection, ids: Collection[str]) -> int:
    """How many of them SUCCEEDED, at their first attempt."""
    wanted = list(ids)
    count = 0
    for at in range(0, len(wanted), 10_000):
        count += await connection.instances.count_documents(
            {
                "_id": {"$in": wanted[at : at + 10_000]},
                "task": NOOP,
                "state": "SUCCEEDED",
                "attempt": 1,
            }
        )
    return count
