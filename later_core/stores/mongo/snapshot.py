"""All instances that match, as they were at one moment of the cluster's time.

Each page is a read of its own at that moment: nothing is held open between them, on the server or
here, however slow the reader. The server keeps the moment for five minutes by default
(minSnapshotHistoryWindowInSeconds).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bson import Timestamp
from pymongo.errors import PyMongoError

from later_core.errors import HistoryLost, StoreUnavailable
from later_core.model.instance import Instance
from later_core.model.limits import PAGE_MAX_SIZE
from later_core.model.query import Filter
from later_core.ports.clock import Clock
from later_core.ports.store import Snapshot
from later_core.stores.mongo import cursor, positions, queries
from later_core.stores.mongo.connection import SCAN_SECONDS, Connection, Document
from later_core.stores.mongo.cursor import Batch
from later_core.stores.mongo.errors import snapshot_error
from later_core.stores.mongo.listing import PageBuilder

#: Indexes made a moment ago keep the server from choosing one; it is asked again this often.
_ROUNDS = 20
_PAUSE_SECONDS = 0.1


@asynccontextmanager
async def snapshot(connection: Connection, clock: Clock, filter: Filter) -> AsyncIterator[Snapshot]:
    """As ``Store.snapshot`` promises it. The first page is read here, and settles the moment."""
    for _ in range(_ROUNDS):
        try:
            first = await _read(connection, filter, None, moment=None)
        except HistoryLost:
            await clock.sleep(_PAUSE_SECONDS)
        else:
            yield _MongoSnapshot(connection, filter, first, first.details["atClusterTime"])
            return
    raise StoreUnavailable("the server offers no moment to read at")


class _MongoSnapshot(Snapshot):
    def __init__(
        self, connection: Connection, filter: Filter, first: Batch, moment: Timestamp
    ) -> None:
        self.position = positions.just_behind(moment)
        self._connection = connection
        self._filter = filter
        self._first = first
        self._moment = moment

    async def pages(self) -> AsyncIterator[Sequence[Instance]]:
        batch = self._first
        page = PageBuilder(PAGE_MAX_SIZE, None, [])
        while True:
            documents = deque(batch.documents)
            while page.offer(documents):
                yield page.instances
                page = PageBuilder(PAGE_MAX_SIZE, page.place, [])
            if len(batch.documents) < PAGE_MAX_SIZE and not batch.cursor:
                break
            batch = await _read(self._connection, self._filter, page, moment=self._moment)
        if page.instances:
            yield page.instances


async def _read(
    connection: Connection, filter: Filter, page: PageBuilder | None, *, moment: Timestamp | None
) -> Batch:
    read_concern: Document = {"level": "snapshot"}
    if moment is not None:
        read_concern["atClusterTime"] = moment
    try:
        with connection.deadline(SCAN_SECONDS):
            return await cursor.find(
                connection,
                "instances",
                queries.matching(filter, after=page.place if page else None),
                limit=PAGE_MAX_SIZE,
                read_concern=read_concern,
                sort=queries.IN_ORDER,
                hint=queries.DUE_INDEX,
            )
    except PyMongoError as error:
        raise snapshot_error(error) from error
