"""The client for programs without asyncio. Generated from the asynchronous one: run tox -e facade."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Generator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Self

from later_core.client.access import EVERY_ENTRY
from later_core.client.client import Client
from later_core.client.creating import PATIENCE
from later_core.client.errors import RpcError
from later_core.client.instances import EVERYTHING
from later_core.client.portal import Portal, feed
from later_core.client.schedules import EVERY_SCHEDULE
from later_core.client.tasks import TaskInfo, TaskList
from later_core.model.audit import AuditEntry, AuditFilter
from later_core.model.event import EventBatch
from later_core.model.instance import Instance, NewInstance
from later_core.model.node import ListedNode
from later_core.model.query import Filter
from later_core.model.schedule import (
    Backfill,
    ListedSchedule,
    Schedule,
    ScheduleFilter,
    ScheduleSpec,
)
from later_core.model.standing import Standing
from later_core.model.state import State
from later_core.model.stats import Stats
from later_core.model.tls import ClientTls
from later_core.model.token import NewToken, Token
from later_core.ports.clock import Clock


class SyncClient:
    """``Client`` for programs without asyncio: the same methods, which wait for their answers.

    A context manager. Any number of threads may use it at once; leaving it ends what they wait for with
    ``PortalClosed``. What iterates is best left to run to its end or closed (``contextlib.closing``).
    The callbacks that it is given run in a thread of the client's, and must not use the client.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: ClientTls | None = None,
        token: str | None = None,
        insecure: bool = False,
        deadline: timedelta = timedelta(seconds=10),
    ) -> None:
        self._client = Client(address, tls=tls, token=token, insecure=insecure, deadline=deadline)
        self._portal = Portal()

    @classmethod
    def from_environment(cls) -> Self:
        """As the command ``later``: by ``LATER_ADDRESS``, ``LATER_TLS…``, ``LATER_TOKEN``, and the file.

        Raises:
            SettingInvalid.

        """
        return cls._of(Client.from_environment())

    def __enter__(self) -> Self:
        self._portal.open()
        try:
            self._portal.call(_enter(self._client))
        except BaseException:
            self._portal.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._portal.call(_leave(self._client))
        finally:
            self._portal.close()

    @classmethod
    def _of(cls, client: Client) -> Self:
        made = cls.__new__(cls)
        made._client, made._portal = (client, Portal())
        return made

    def abort(self, id: str) -> tuple[Instance, State]:
        """The aborted instance, and the state it was in: PENDING (it never starts) or RUNNING."""
        return self._portal.call(self._client.abort(id))

    def audit(
        self, filter: AuditFilter = EVERY_ENTRY, *, page_size: int = 0
    ) -> Generator[AuditEntry]:
        """Every entry of the audit log that matches, the newest first, fetched page by page."""
        return self._portal.iterate(self._client.audit(filter, page_size=page_size))

    def backfill_schedule(self, id: str, start: datetime, end: datetime) -> Backfill:
        """Create what is missing of the past times ``start <= t < end``, in as many calls as it takes.

        When a call fails, what was created before it stays; repeating makes no doubles.
        """
        return self._portal.call(self._client.backfill_schedule(id, start, end))

    def create(self, request: NewInstance) -> Instance:
        """The created instance, or the stored one if this id was created before with this content."""
        return self._portal.call(self._client.create(request))

    def create_batch(self, requests: Sequence[NewInstance]) -> Sequence[Instance | RpcError]:
        """What became of each request, whole, in their order; in as many calls as it takes.

        When a call as a whole fails, some of the requests may have been carried out. ``create_many``
        is faster.
        """
        return self._portal.call(self._client.create_batch(requests))

    def create_many(
        self,
        requests: Iterable[NewInstance] | AsyncIterable[NewInstance],
        *,
        patience: timedelta = PATIENCE,
    ) -> Sequence[str | RpcError]:
        """Of each request the id of its instance, or its error, in their order; any number of them.

        As ``create_stream``, to the end.
        """
        return self._portal.call(self._client.create_many(feed(requests), patience=patience))

    def create_schedule(
        self, spec: ScheduleSpec, *, id: str | None = None, paused: bool = False, note: str = ""
    ) -> Schedule:
        """The created schedule, or the stored one if this id was created before with this content."""
        return self._portal.call(
            self._client.create_schedule(spec, id=id, paused=paused, note=note)
        )

    def create_stream(
        self,
        requests: Iterable[NewInstance] | AsyncIterable[NewInstance],
        *,
        patience: timedelta = PATIENCE,
    ) -> Generator[str | RpcError]:
        """Of each request the id of its instance, or its error, in their order, as they are stored.

        Requests are taken as the server takes them, in batches: only some thousand are held at a time,
        and what comes slowly waits until a batch is full. What was not answered when a connection
        breaks is sent again, which makes no doubles, unless no server answers for ``patience``. When
        it fails, some of what was not answered may have been carried out.
        """
        return self._portal.iterate(self._client.create_stream(feed(requests), patience=patience))

    def create_token(
        self, new: NewToken, *, lifetime: timedelta | None = None
    ) -> tuple[Token, str]:
        """A token, and the one sight of its secret. Without a lifetime it is valid until revoked."""
        return self._portal.call(self._client.create_token(new, lifetime=lifetime))

    def delete_schedule(self, id: str, etag: str | None = None) -> Schedule:
        """The schedule as it was; its PENDING instances are aborted, its RUNNING ones go on."""
        return self._portal.call(self._client.delete_schedule(id, etag))

    def drain(self, id: str) -> ListedNode:
        """Ask a living node to drain; answers at once. ``nodes`` says when it has drained."""
        return self._portal.call(self._client.drain(id))

    def get(self, id: str) -> Instance:
        """The instance as it is now."""
        return self._portal.call(self._client.get(id))

    def get_schedule(self, id: str) -> ListedSchedule:
        """The schedule as it is now, how its instances stand, and when it fires next."""
        return self._portal.call(self._client.get_schedule(id))

    def health(self) -> bool:
        """Whether the server says that it serves: its database answers and its loop runs."""
        return self._portal.call(self._client.health())

    def list(self, filter: Filter = EVERYTHING, *, page_size: int = 0) -> Generator[Instance]:
        """Every instance that matches, in order of (execution_time, id), fetched page by page.

        ``page_size`` 0 leaves it to the server. What is created or changed meanwhile may be missed.
        """
        return self._portal.iterate(self._client.list(filter, page_size=page_size))

    def list_schedules(
        self, filter: ScheduleFilter = EVERY_SCHEDULE, *, page_size: int = 0
    ) -> Generator[ListedSchedule]:
        """Every schedule that matches, in order of id, fetched page by page.

        ``page_size`` 0 leaves it to the server. What is created or changed meanwhile may be missed.
        """
        return self._portal.iterate(self._client.list_schedules(filter, page_size=page_size))

    def nodes(self) -> Sequence[ListedNode]:
        """The nodes that share the database, in order of id; the lately dead among them."""
        return self._portal.call(self._client.nodes())

    def pause_schedule(self, id: str, note: str = "") -> Schedule:
        """The schedule, which rests until it is resumed."""
        return self._portal.call(self._client.pause_schedule(id, note))

    def preview_schedule(
        self, schedule: str | ScheduleSpec, after: datetime | None = None, count: int = 10
    ) -> Sequence[datetime]:
        """The next ``count`` nominal times (after now, unless said otherwise) of a stored schedule,
        given by its id, or of one that is not stored. Fewer: it ends.
        """
        return self._portal.call(self._client.preview_schedule(schedule, after, count))

    def reschedule(
        self,
        id: str,
        *,
        execution_time: datetime | None = None,
        delay: timedelta | None = None,
        revision: int | None = None,
    ) -> Instance:
        """The PENDING instance at its new time; with a revision, only if it still has that one."""
        return self._portal.call(
            self._client.reschedule(
                id, execution_time=execution_time, delay=delay, revision=revision
            )
        )

    def resume_schedule(self, id: str, note: str = "") -> Schedule:
        """The schedule, which fires again from now on."""
        return self._portal.call(self._client.resume_schedule(id, note))

    def retry(
        self, id: str, *, execution_time: datetime | None = None, delay: timedelta | None = None
    ) -> Instance:
        """The ended instance, PENDING again; due now unless a time is given."""
        return self._portal.call(self._client.retry(id, execution_time=execution_time, delay=delay))

    def revoke_token(self, id: str) -> Token:
        """The token, worthless within about three seconds on every node."""
        return self._portal.call(self._client.revoke_token(id))

    def stats(self) -> Stats:
        """Figures of the store and of the node that answers."""
        return self._portal.call(self._client.stats())

    def task(self, name: str) -> TaskInfo:
        """One task that the server can run."""
        return self._portal.call(self._client.task(name))

    def tasks(self) -> TaskList:
        """What the plugins of the server can run."""
        return self._portal.call(self._client.tasks())

    def tokens(self, *, page_size: int = 0) -> Generator[Token]:
        """Every token in order of id, fetched page by page; for a month those no longer valid."""
        return self._portal.iterate(self._client.tokens(page_size=page_size))

    def trigger_schedule(self, id: str, request_id: str | None = None) -> Instance:
        """An instance that is due now; the same one for the same ``request_id``."""
        return self._portal.call(self._client.trigger_schedule(id, request_id))

    def update_schedule(self, id: str, spec: ScheduleSpec, etag: str | None = None) -> Schedule:
        """The schedule with another spec; with an etag, only if it still has that one."""
        return self._portal.call(self._client.update_schedule(id, spec, etag))

    def wait(self, id: str, *, timeout: timedelta | None = None) -> Instance:
        """The instance once it has ended, however long that takes; servers may come and go.

        Raises:
            RpcError: there is no such instance, or no server answered from the beginning.
            TimeoutError: it has not ended within ``timeout``.

        """
        return self._portal.call(self._client.wait(id, timeout=timeout))

    def watch(
        self,
        filter: Filter = EVERYTHING,
        *,
        resume_token: str | None = None,
        include_existing: bool = False,
        on_break: Callable[[RpcError, timedelta], None] = lambda error, pause: None,
        clock: Clock | None = None,
    ) -> Generator[EventBatch]:
        """Batches of events as they happen, for ever: again with the last token when a stream breaks.

        A batch's ``position`` is the resume token behind it; it is empty while what exists is still
        being sent. A batch without events only moves the token on; the first one says that the watch
        has begun.

        What breaks a stream and is mended by coming back: the server or its database away, this
        subscriber too slow, or too many of them. ``on_break`` is told why and how long the pause is;
        pauses double up to half a minute, until something arrives. A stream that broke while what
        exists was still being sent begins anew, and its EXISTING events come again. After a RESYNC a
        watch that asked for what exists is told it anew; any other must read it.

        Raises:
            RpcError: the very first connection failed, or coming back cannot help.

        """
        return self._portal.iterate(
            self._client.watch(
                filter,
                resume_token=resume_token,
                include_existing=include_existing,
                on_break=on_break,
                clock=clock,
            )
        )

    def watch_once(
        self,
        filter: Filter = EVERYTHING,
        *,
        resume_token: str | None = None,
        include_existing: bool = False,
    ) -> Generator[EventBatch]:
        """As ``watch``, until the stream breaks (RpcError) or is left."""
        return self._portal.iterate(
            self._client.watch_once(
                filter, resume_token=resume_token, include_existing=include_existing
            )
        )

    def who_am_i(self) -> Standing:
        """Who the caller is to the server that answers, and what it may do and take."""
        return self._portal.call(self._client.who_am_i())


async def _enter(client: Client) -> None:
    await client.__aenter__()


async def _leave(client: Client) -> None:
    await client.__aexit__()
