"""The Store promise, kept by MongoDB: which file keeps which part of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from later_core.errors import StoreUnavailable
from later_core.model.concurrency import Gated, Slot
from later_core.model.encryption_key import EncryptionKey
from later_core.model.event import EventBatch
from later_core.model.instance import Instance
from later_core.model.limits import PAGE_DEFAULT_SIZE, PAGE_MAX_SIZE
from later_core.model.node import Node, NodeStatus
from later_core.model.outcome import Ending
from later_core.model.query import Counts, DueEntry, Filter, Page, PageKey
from later_core.model.rate import Permits, RateLimit
from later_core.model.scope import EVERYTHING, Scope
from later_core.model.transfer import Restored
from later_core.ports.clock import Clock
from later_core.ports.observer import Observer
from later_core.ports.store import Aborted, InsertResult, Snapshot, Store
from later_core.stores.mongo import (
    attempts,
    changes,
    claims,
    database_time,
    due,
    feed,
    indexes,
    inserts,
    listing,
    migrations,
    nodes,
    pending,
    permits,
    recovery,
    rekeying,
    requirements,
    restoring,
)
from later_core.stores.mongo import (
    slots as held_slots,
)
from later_core.stores.mongo.access import MongoAccess
from later_core.stores.mongo.connection import Connection, connect
from later_core.stores.mongo.key_ring import KeyRing
from later_core.stores.mongo.portion import Portion
from later_core.stores.mongo.schedules import MongoSchedules
from later_core.stores.mongo.shared_clock import shares_clock
from later_core.stores.mongo.snapshot import snapshot
from later_core.stores.mongo.stopwatch import Stopwatch

#: A URI whose first host is the path of a socket.
_BY_SOCKET = "mongodb://%2F"

#: How many instances the first page asks for at once: a usual page, and one more that tells of the next.
_FIRST_LISTED = PAGE_DEFAULT_SIZE + 1


class MongoStore(MongoSchedules, MongoAccess, Store):
    """All of it in one database. No call takes longer than about ten seconds, however far away the
    database is; reads that may have to walk far take up to thirty.

    ``clock`` measures pauses on this machine; instants that decide are the database's. The observer,
    if any, is told how long each command took. With keys, parameters and results are encrypted with the
    first of them, and read with any.
    """

    def __init__(
        self,
        *,
        uri: str,
        database: str,
        retention: timedelta,
        clock: Clock,
        observer: Observer | None = None,
        audit_retention: timedelta = timedelta(days=90),
        keys: Sequence[EncryptionKey] = (),
    ) -> None:
        self._uri = uri
        self.is_local = uri.startswith(_BY_SOCKET)
        self._database = database
        self._retention = retention
        self._audit_retention = audit_retention
        self._clock = clock
        self._listeners = () if observer is None else (Stopwatch(observer),)
        self._keys = KeyRing(keys)
        self._listed = Portion(first=_FIRST_LISTED, most=PAGE_MAX_SIZE + 1)
        self._opened: Connection | None = None

    async def open(self) -> None:
        connection = connect(self._uri, self._database, listeners=self._listeners, keys=self._keys)
        try:
            await requirements.check_server(connection, self._clock)
            self.shares_clock = await shares_clock(connection, self._clock)
            await migrations.check_schema(connection)
            await indexes.prepare(
                connection, retention=self._retention, audit_retention=self._audit_retention
            )
            await migrations.migrate(connection)
        except BaseException:
            connection.client.close()
            raise
        self._opened = connection

    async def close(self) -> None:
        if self._opened is not None:
            self._opened.client.close()
            self._opened = None

    async def now(self) -> datetime:
        return await database_time.now(self._connection, self._clock)

    # -- what people ask ---------------------------------------------------------------------

    async def insert(self, instances: Sequence[Instance]) -> Sequence[InsertResult]:
        return await inserts.insert(self._connection, instances)

    async def get(self, id: str) -> Instance | None:
        return await listing.get(self._connection, id)

    async def list(self, filter: Filter, *, after: PageKey | None, limit: int) -> Page:
        return await listing.list_page(
            self._connection, filter, self._listed, after=after, limit=limit
        )

    async def prepare_pending_counts(self) -> None:
        await pending.prepare(self._connection)

    async def count_pending(self, principal: str, *, at_most: int) -> int:
        return await pending.count(self._connection, principal, at_most=at_most)

    async def abort(self, id: str) -> Aborted:
        return await changes.abort(self._connection, id)

    async def reschedule(
        self, id: str, execution_time: datetime, *, revision: int | None
    ) -> Instance:
        return await changes.reschedule(self._connection, id, execution_time, revision=revision)

    async def retry(self, id: str, execution_time: datetime) -> Instance:
        return await changes.retry(self._connection, id, execution_time)

    async def counts(self, installed: Collection[str], *, scope: Scope = EVERYTHING) -> Counts:
        return await listing.counts(self._connection, installed, scope)

    # -- what time asks ----------------------------------------------------------------------

    async def due(
        self,
        *,
        tasks: Collection[str],
        buckets: Collection[int] | None = None,
        since: datetime | None,
        until: datetime,
        after: DueEntry | None,
        limit: int,
    ) -> Sequence[DueEntry]:
        return await due.due_entries(
            self._connection,
            tasks=tasks,
            buckets=buckets,
            since=since,
            until=until,
            after=after,
            limit=limit,
        )

    async def raised(
        self,
        *,
        tasks: Collection[str],
        buckets: Collection[int] | None = None,
        since: datetime | None,
        until: datetime,
        after: DueEntry | None,
        limit: int,
    ) -> Sequence[DueEntry]:
        return await due.raised_entries(
            self._connection,
            tasks=tasks,
            buckets=buckets,
            since=since,
            until=until,
            after=after,
            limit=limit,
        )

    async def claim(
        self,
        ids: Sequence[str],
        *,
        node: str,
        until: datetime,
        is_admitted: bool = False,
        but_tasks: Collection[str] = (),
    ) -> Sequence[Instance]:
        return await claims.claim(
            self._connection,
            self._clock,
            ids,
            node=node,
            until=until,
            is_admitted=is_admitted,
            but_tasks=but_tasks,
        )

    async def started(self, starts: Mapping[tuple[str, int], datetime], *, node: str) -> None:
        await attempts.started(self._connection, starts, node=node)

    async def finish(self, endings: Sequence[Ending]) -> Sequence[bool]:
        return await attempts.finish(self._connection, endings)

    # -- nodes -------------------------------------------------------------------------------

    async def beat(self, node: Node, *, lease: timedelta) -> datetime | None:
        return await nodes.beat(self._connection, node, lease=lease)

    async def leave(self, node: str) -> None:
        await nodes.leave(self._connection, node)

    async def nodes(self) -> Sequence[NodeStatus]:
        return await nodes.statuses(self._connection)

    async def ask_to_drain(self, node: str) -> NodeStatus:
        return await nodes.ask_to_drain(self._connection, node)

    async def recover(self, *, limit: int) -> Sequence[Instance]:
        return await recovery.recover(self._connection, limit=limit)

    async def reclaim(self, node: str, running: Collection[tuple[str, int]]) -> Sequence[Instance]:
        return await claims.reclaim(self._connection, node, running)

    # -- admission ---------------------------------------------------------------------------

    async def gated(
        self, ids: Sequence[str], *, until: datetime, tasks: Collection[str] = ()
    ) -> Sequence[Gated]:
        return await held_slots.gated(self._connection, ids, until=until, tasks=tasks)

    async def reserve_permits(
        self, task: str, rate: RateLimit, *, count: int, ahead: timedelta
    ) -> Permits:
        return await permits.reserve(self._connection, task, rate, count=count, ahead=ahead)

    async def take_slots(self, slots: Sequence[Slot]) -> Sequence[bool]:
        return await held_slots.take(self._connection, slots)

    async def give_back_slots(self, slots: Sequence[Slot]) -> None:
        await held_slots.give_back(self._connection, slots)

    async def sweep_slots(self, node: str, *, up_to: int, keep: Collection[int]) -> None:
        await held_slots.sweep(self._connection, node, up_to=up_to, keep=keep)

    async def free_slots(self) -> None:
        await held_slots.free(self._connection)

    async def slots(self, key: str) -> Sequence[Slot]:
        return await held_slots.holders(self._connection, key)

    # -- history -----------------------------------------------------------------------------

    def follow(self, position: str | None) -> AsyncGenerator[EventBatch, None]:
        return feed.follow(self._connection, position)

    def news(self, position: str | None) -> AsyncGenerator[EventBatch, None]:
        return feed.news(self._connection, position)

    def snapshot(
        self, filter: Filter, *, moment: str | None = None, after: PageKey | None = None
    ) -> AbstractAsyncContextManager[Snapshot]:
        return snapshot(self._connection, self._clock, filter, moment=moment, after=after)

    # -- transfer ----------------------------------------------------------------------------

    async def restore(
        self, instances: Sequence[Instance], *, replace: bool, validate_only: bool
    ) -> Sequence[Restored]:
        return await restoring.restore(
            self._connection, instances, may_replace=replace, validate_only=validate_only
        )

    # -- encryption --------------------------------------------------------------------------

    async def rekey(self, tell: Callable[[int, int], None] | None = None) -> rekeying.Rekeyed:
        """As ``rekeying.rekey`` promises it; needs keys."""
        return await rekeying.rekey(self._connection, tell)

    @property
    def _connection(self) -> Connection:
        if self._opened is None:
            raise StoreUnavailable("the store is closed")
        return self._opened
