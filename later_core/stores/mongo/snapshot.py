"""All instances that match, as they were at one moment of the cluster's time.

Each page is a read of its own at that moment: nothing is held open between them, on the server or
here, however slow the reader. The server keeps the moment for five minutes by default
(minSnapshotHistoryWindowInSeconds).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bson import Timestamp
from pymongo.errors import PyMongoError

from later_core.errors import (
    EncryptionKeyMissing,
    HistoryLost,
    ResumeTokenInvalid,
    StoreUnavailable,
)
from later_core.model.instance import Instance
from later_core.model.limits import PAGE_MAX_SIZE, RESPONSE_MAX_BYTES
from later_core.model.query import Filter, PageKey
from later_core.model.schedule import Schedule
from later_core.ports.clock import Clock
from later_core.ports.store import Snapshot
from later_core.stores.mongo import cursor, positions, queries
from later_core.stores.mongo.connection import SCAN_SECONDS, Connection, Document
from later_core.stores.mongo.cursor import Batch
from later_core.stores.mongo.documents import payload
from later_core.stores.mongo.errors import snapshot_error
from later_core.stores.mongo.listing import PageBuilder
from later_core.stores.mongo.portion import Portion
from later_core.stores.mongo.schedule_documents import readable_schedules

#: Indexes made a moment ago keep the server from choosing one; it is asked again this often.
_ROUNDS = 20
_PAUSE_SECONDS = 0.1

#: How many instances are asked for first.
_FIRST = 2

#: How many schedules are read at once.
_SCHEDULES = 100


@asynccontextmanager
async def snapshot(
    connection: Connection,
    clock: Clock,
    filter: Filter,
    *,
    moment: str | None,
    after: PageKey | None,
) -> AsyncIterator[Snapshot]:
    """As ``Store.snapshot`` promises it. The first page is read here, and settles the moment."""
    place = (after.execution_time, after.id) if after else None
    start = PageBuilder(connection.keys, PAGE_MAX_SIZE, place, [])
    portion = Portion(first=_FIRST, most=PAGE_MAX_SIZE)
    if moment is not None:
        known = await _checked(connection, positions.to_moment(moment))
        first = await _read(connection, filter, start, moment=known, limit=portion.size)
        yield _MongoSnapshot(connection, filter, start, first, known, portion)
        return
    for _ in range(_ROUNDS):
        try:
            first = await _read(connection, filter, start, moment=None, limit=portion.size)
            chosen = first.details["atClusterTime"]
            await _read_schedules(connection, None, moment=chosen, limit=1)
        except HistoryLost:
            await clock.sleep(_PAUSE_SECONDS)
        else:
            yield _MongoSnapshot(connection, filter, start, first, chosen, portion)
            return
    raise StoreUnavailable("the server offers no moment to read at")


class _MongoSnapshot(Snapshot):
    def __init__(
        self,
        connection: Connection,
        filter: Filter,
        start: PageBuilder,
        first: Batch,
        moment: Timestamp,
        portion: Portion,
    ) -> None:
        self.position = positions.just_behind(moment)
        self.moment = positions.of_moment(moment)
        self.time = moment.as_datetime()
        self.locked: list[EncryptionKeyMissing] = []
        self._connection = connection
        self._filter = filter
        self._start = start
        self._first = first
        self._moment = moment
        self._portion = portion

    async def estimate(self) -> int:
        with self._connection.call():
            # Without a condition it is answered from what the server knows of the collection.
            reply = await self._connection.command({"count": "instances"})
        return int(reply["n"])

    async def pages(self) -> AsyncIterator[Sequence[Instance]]:
        batch = self._first
        page = self._start
        page.locked = self.locked
        while True:
            is_last = len(batch.documents) < self._portion.size and not batch.cursor
            self._portion.learn(len(batch.documents), sum(map(payload, batch.documents)))
            documents = deque(batch.documents)
            batch.documents.clear()  # else all of them would be held until the last is told
            while page.offer(documents) or page.is_full:
                yield page.instances
                page = PageBuilder(
                    self._connection.keys, PAGE_MAX_SIZE, page.place, [], locked=self.locked
                )
            if is_last:
                break
            batch = await _read(
                self._connection,
                self._filter,
                page,
                moment=self._moment,
                limit=self._portion.size,
            )
        if page.instances:
            yield page.instances

    async def schedules(self, *, after: str | None = None) -> AsyncIterator[Sequence[Schedule]]:
        while True:
            batch = await _read_schedules(
                self._connection, after, moment=self._moment, limit=_SCHEDULES
            )
            page: list[Schedule] = []
            weight = 0
            for document in batch.documents:
                if weight >= RESPONSE_MAX_BYTES:
                    yield page
                    page, weight = [], 0
                for schedule in readable_schedules([document], self._connection.keys, self.locked):
                    page.append(schedule)
                    weight += len(schedule.spec.template.parameters)
            if page:
                yield page
            if len(batch.documents) < _SCHEDULES and not batch.cursor:
                return
            after = batch.documents[-1]["_id"]


async def _checked(connection: Connection, moment: Timestamp) -> Timestamp:
    """The moment, which must have been: the server takes another one for a mistake of ours."""
    with connection.call():
        reply = await connection.admin({"hello": 1})
    if not moment.time or moment > reply["operationTime"]:
        raise ResumeTokenInvalid
    return moment


async def _read(
    connection: Connection,
    filter: Filter,
    page: PageBuilder,
    *,
    moment: Timestamp | None,
    limit: int,
) -> Batch:
    return await _find(
        connection,
        "instances",
        queries.matching(filter, after=page.place),
        moment,
        limit=limit,
        sort=queries.IN_ORDER,
        hint=queries.DUE_INDEX,
    )


async def _read_schedules(
    connection: Connection, after: str | None, *, moment: Timestamp, limit: int
) -> Batch:
    query: Document = {"_id": {"$gte": ""} if after is None else {"$gt": after}}
    return await _find(
        connection, "schedules", query, moment, limit=limit, sort={"_id": 1}, hint="_id_"
    )


async def _find(
    connection: Connection,
    collection: str,
    query: Document,
    moment: Timestamp | None,
    **options: Any,
) -> Batch:
    read_concern: Document = {"level": "snapshot"}
    if moment is not None:
        read_concern["atClusterTime"] = moment
    try:
        with connection.deadline(SCAN_SECONDS):
            return await cursor.find(
                connection, collection, query, read_concern=read_concern, **options
            )
    except PyMongoError as error:
        raise snapshot_error(error) from error
