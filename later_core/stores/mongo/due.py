"""The pull of the window: what is due, read from the index alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from later_core.model.instant import from_millis
from later_core.model.query import DueEntry
from later_core.stores.mongo import cursor, queries
from later_core.stores.mongo.connection import SCAN_SECONDS, Connection, Document

logger = structlog.get_logger(__name__)

#: Just what the index holds, so that no record is touched.
INDEXED: Document = {"_id": 1, "execution_time": 1, "task": 1}

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- the driver's dates have no zone, and are UTC
_MILLISECOND = timedelta(milliseconds=1)


async def due_entries(
    connection: Connection,
    *,
    tasks: Collection[str],
    buckets: Collection[int] | None,
    since: datetime | None,
    until: datetime,
    after: DueEntry | None,
    limit: int,
) -> Sequence[DueEntry]:
    """As ``Store.due`` promises it."""
    place = None if after is None else (from_millis(after.due_ms), after.id)
    while tasks:
        with connection.call(SCAN_SECONDS):
            batch = await cursor.find(
                connection,
                "instances",
                queries.due(tasks, buckets=buckets, since=since, until=until, after=place),
                limit=limit,
                projection=INDEXED,
                sort=queries.IN_ORDER,
                hint=queries.DUE_INDEX,
            )
        if not batch.documents:
            break
        if entries := [entry for row in batch.documents if (entry := _entry(row)) is not None]:
            return entries
        last = batch.documents[-1]
        place = (last["execution_time"].replace(tzinfo=UTC), last["_id"])
    return []


def _entry(row: Document) -> DueEntry | None:
    task = row["task"]
    if not isinstance(task, str):
        logger.error("unreadable record", id=row["_id"], detail="task is no string")
        return None
    return DueEntry((row["execution_time"] - _EPOCH) // _MILLISECOND, row["_id"], task)
