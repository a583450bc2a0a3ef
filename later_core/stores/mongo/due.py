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
        place = _place(batch.documents[-1])
    return []


async def raised_entries(
    connection: Connection,
    *,
    tasks: Collection[str],
    buckets: Collection[int] | None,
    since: datetime | None,
    until: datetime,
    after: DueEntry | None,
    limit: int,
) -> Sequence[DueEntry]:
    """As ``Store.raised`` promises it: what is left of the priority of ``after``, else those below."""
    if not tasks:
        return []

    def query(place: tuple[datetime, str] | None) -> Document:
        return queries.due(tasks, buckets=buckets, since=since, until=until, after=place)

    priority = None if after is None else after.priority
    place = None if after is None else (from_millis(after.due_ms), after.id)
    while True:
        rows: Sequence[Document] = ()
        if priority is not None:
            rest = queries.raised(query(place), priority=priority)
            rows = await _raised(connection, rest, queries.IN_ORDER, limit)
        if not rows:
            below = queries.raised_below(query(None), priority=priority)
            rows = await _raised(connection, below, queries.HIGHEST_FIRST, limit)
        if not rows:
            return []
        if entries := [entry for row in rows if (entry := _entry(row)) is not None]:
            return entries
        priority, place = int(rows[-1]["priority"]), _place(rows[-1])


async def _raised(
    connection: Connection, query: Document, order: Document, limit: int
) -> Sequence[Document]:
    with connection.call(SCAN_SECONDS):
        batch = await cursor.find(
            connection,
            "instances",
            query,
            limit=limit,
            projection={**INDEXED, "priority": 1},
            sort=order,
            hint=queries.RAISED_INDEX,
        )
    return batch.documents


def _place(row: Document) -> tuple[datetime, str]:
    return row["execution_time"].replace(tzinfo=UTC), row["_id"]


def _entry(row: Document) -> DueEntry | None:
    task = row["task"]
    if not isinstance(task, str):
        logger.error("unreadable record", id=row["_id"], detail="task is no string")
        return None
    due_ms = (row["execution_time"] - _EPOCH) // _MILLISECOND
    return DueEntry(due_ms, row["_id"], task, int(row.get("priority", 0)))
