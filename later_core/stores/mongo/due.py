"""The pull of the window: what is due, read from the index alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from later_core.model.instant import from_millis
from later_core.model.query import DueEntry
from later_core.stores.mongo import cursor, queries
from later_core.stores.mongo.connection import SCAN_SECONDS, Connection, Document

#: Just what the index holds, so that no record is touched.
INDEXED: Document = {"_id": 1, "execution_time": 1}

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
    if not tasks:
        return []
    with connection.call(SCAN_SECONDS):
        batch = await cursor.find(
            connection,
            "instances",
            queries.due(tasks, buckets=buckets, since=since, until=until, after=_place(after)),
            limit=limit,
            projection=INDEXED,
            sort=queries.IN_ORDER,
            hint=queries.DUE_INDEX,
        )
    return [
        DueEntry((row["execution_time"] - _EPOCH) // _MILLISECOND, row["_id"])
        for row in batch.documents
    ]


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

    def query(after: DueEntry | None) -> Document:
        return queries.due(tasks, buckets=buckets, since=since, until=until, after=_place(after))

    rows: Sequence[Document] = ()
    if after is not None:
        rest = queries.raised(query(after), priority=after.priority)
        rows = await _raised(connection, rest, queries.IN_ORDER, limit)
    if not rows:
        priority = None if after is None else after.priority
        below = queries.raised_below(query(None), priority=priority)
        rows = await _raised(connection, below, queries.HIGHEST_FIRST, limit)
    return [
        DueEntry((row["execution_time"] - _EPOCH) // _MILLISECOND, row["_id"], int(row["priority"]))
        for row in rows
    ]


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


def _place(entry: DueEntry | None) -> tuple[datetime, str] | None:
    return None if entry is None else (from_millis(entry.due_ms), entry.id)
