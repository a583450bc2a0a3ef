"""What people ask of instances: create, read, abort, reschedule, retry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from later_core.errors import (
    InstanceAlreadyExists,
    InstanceEnded,
    InstanceNotFound,
    LaterError,
    StoreUnavailable,
    TaskNotFound,
)
from later_core.local.caller import caller
from later_core.local.database_clock import DatabaseClock
from later_core.local.grouping import Group
from later_core.local.intake import Intake
from later_core.local.lease import Lease
from later_core.local.overload import Load, Overload
from later_core.local.pending import Held, PendingLimits
from later_core.local.quotas import Quotas
from later_core.local.runs import Runs, Stop
from later_core.local.window import Window
from later_core.model.instance import Instance, NewInstance
from later_core.model.principal import Principal
from later_core.model.query import Filter, Page, PageKey
from later_core.model.standing import Standing
from later_core.model.state import State
from later_core.ports.store import Aborted, Inserted, InsertResult, Store
from later_core.ports.tasks import Tasks
from later_core.service.authority import check_scope, check_start
from later_core.service.changes import Answer, Changes
from later_core.service.placement import due_time, place


class Instances:
    """One object for all requests. A change that is near is told to the window at once, also when
    whoever asked for it did not wait for the answer."""

    def __init__(
        self,
        *,
        store: Store,
        tasks: Tasks,
        window: Window,
        intake: Intake,
        runs: Runs,
        lease: Lease,
        database_clock: DatabaseClock,
        overload: Overload | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._quotas = quotas or Quotas()
        self._overload = overload or Overload()
        self._store = store
        self._pending_limits = self._quotas.pending or PendingLimits(
            count=lambda principal, most: store.count_pending(principal, at_most=most)
        )
        self._tasks = tasks
        self._window = window
        self._intake = intake
        self._runs = runs
        self._lease = lease
        self._database_clock = database_clock
        # Concurrent single creates travel together, and wait for each other while the event loop is busy
        # taking them in, for 20 ms at the most; batches are batches already.
        self._inserts: Group[Instance, InsertResult] = Group(
            store.insert, limit=1000, in_flight=2, gather=0.02
        )
        self._changes = Changes()
        #: How many reschedules of an instance are under way, by id; and whether ever two at once.
        self._rescheduling: Counter[str] = Counter()
        self._overlapping: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._inserts.__aenter__()
        await self._changes.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._changes.__aexit__(*failure)
        await self._inserts.__aexit__(*failure)

    def standing(self) -> Standing:
        """Who asks, and what bounds it."""
        return self._quotas.standing_of(caller())

    async def create(self, request: NewInstance) -> Instance:
        """Store one instance, or answer the one stored by an earlier equal request.

        Raises:
            TaskNotFound, InstanceAlreadyExists, InvalidRequest, PermissionDenied, StoreUnavailable,
            ServerOverloaded, QuotaExceeded, PendingLimitReached.
        """
        who = caller()
        self._check(who, request)
        placed = place(request, now=self._database_clock.now(), principal=who.name)
        load = self._overload.take(1, len(placed.parameters))
        try:
            self._quotas.take(who, 1)
            held = await self.places(who, 1)
            answer = await self._carry(self._insert(placed, load), held)
        finally:
            load.drop()
        if isinstance(answer, LaterError):
            raise answer
        return answer

    async def create_many(
        self, requests: Sequence[NewInstance], *, is_patient: bool = False
    ) -> Sequence[Instance | LaterError]:
        """Store many; each request is answered by its instance or its error, in order.

        ``is_patient``: where there is too much to do it waits, as the caller has his client wait.

        Raises:
            StoreUnavailable: some may be stored; repeating with the same ids is safe.
            ServerOverloaded, QuotaExceeded: nothing was stored.
        """
        who = caller()
        answers = self._placed(who, requests)
        placed = [answer for answer in answers if isinstance(answer, Instance)]
        if not placed:
            return answers
        size = sum(len(instance.parameters) for instance in placed)
        if is_patient:
            await self._quotas.take_in_turn(who, len(placed))
            load = await self._overload.take_in_turn(len(placed), size)
        else:
            load = self._overload.take(len(placed), size)
        try:
            if not is_patient:
                self._quotas.take(who, len(placed))
            stored = await self._store_many(who, placed, load)
        finally:
            load.drop()
        in_turn = iter(stored)
        return [next(in_turn) if isinstance(answer, Instance) else answer for answer in answers]

    def _placed(
        self, who: Principal, requests: Sequence[NewInstance]
    ) -> Sequence[Instance | LaterError]:
        """What each request asks for, or why it is not to be."""
        answers: list[Instance | LaterError] = []
        now = self._database_clock.now()
        for request in requests:
            try:
                self._check(who, request)
                answers.append(place(request, now=now, principal=who.name))
            except LaterError as error:
                answers.append(error)
        return answers

    async def _store_many(
        self, who: Principal, placed: Sequence[Instance], load: Load
    ) -> Sequence[Instance | LaterError]:
        """Store as many as the limit of what is PENDING has room for, the first ones."""
        limit = self._pending_limits.limit_of(who)
        if limit is None:
            return await self._carry(self._insert_many(placed, load), None)
        held = await self._pending_limits.hold_some(who, len(placed), limit)
        first = placed[: held.count]
        refused = [self._pending_limits.refusal(who, limit)] * (len(placed) - len(first))
        if not first:
            return refused
        return [*await self._carry(self._insert_many(first, load), held), *refused]

    async def places(self, who: Principal, count: int) -> Held | None:
        """Places for what a caller wants to have PENDING; None: nothing bounds it. To be dropped.

        Raises:
            PendingLimitReached, StoreUnavailable.
        """
        if self._pending_limits.limit_of(who) is None:
            return None
        return await self._pending_limits.hold(who, count)

    async def _carry(self, change: Coroutine[Any, Any, Answer], held: Held | None) -> Answer:
        if held is None:
            return await self._changes.carry(change)
        try:
            return await self._changes.carry(held.until_done(change))
        finally:
            if held.drop():  # whoever asked was gone before it began
                change.close()

    async def get(self, id: str) -> Instance:
        """The instance as it is now.

        Raises:
            InstanceNotFound, StoreUnavailable.
        """
        instance = await self._store.get(id)
        if instance is None or not caller().scope.covers(instance.task, instance.labels):
            raise InstanceNotFound(id)
        return instance

    async def list(self, filter: Filter, *, after: PageKey | None, limit: int) -> Page:
        """A page in order of (execution_time, id)."""
        filter = replace(filter, scope=caller().scope)
        return await self._store.list(filter, after=after, limit=limit)

    async def abort(self, id: str) -> Aborted:
        """End a PENDING instance before it starts, or a RUNNING one by cancelling its run.

        Raises:
            InstanceNotFound, InstanceEnded, StoreUnavailable.
        """
        await self._check_seen(id)
        return await self.abort_unasked(id)

    async def abort_unasked(self, id: str) -> Aborted:
        """The same for what follows from another request, whatever the caller's scope."""
        return await self._changes.carry(self._abort(id))

    async def _abort(self, id: str) -> Aborted:
        try:
            aborted = await self._store.abort(id)
        except InstanceEnded as error:
            # Perhaps by an abort of ours whose answer was lost: what still runs here is to stop.
            if error.state == State.ABORTED:
                self._runs.stop(id, Stop.ABORTED)
            raise
        self._window.discard(id)
        self._runs.abort(aborted, node=self._lease.node)
        return aborted

    async def reschedule(
        self,
        id: str,
        *,
        execution_time: datetime | None,
        delay: timedelta | None,
        revision: int | None,
    ) -> Instance:
        """Move a PENDING instance to another time.

        Raises:
            InstanceNotFound, InstanceRunning, InstanceEnded, RevisionMismatch, StoreUnavailable.
        """
        due = due_time(execution_time, delay, now=self._database_clock.now())
        await self._check_seen(id)
        return await self._changes.carry(self._reschedule(id, due, revision))

    async def _reschedule(self, id: str, due: datetime, revision: int | None) -> Instance:
        with self._doubting(), self._overtaking(id):
            instance = await self._store.reschedule(id, due, revision=revision)
        # The old entry is at most a claim that fails; but it would hide the new one.
        self._window.discard(id)
        self._offer(instance)
        return instance

    async def retry(
        self, id: str, *, execution_time: datetime | None, delay: timedelta | None
    ) -> Instance:
        """Run an ended instance again.

        Raises:
            InstanceNotFound, InstanceNotEnded, PermissionDenied, PendingLimitReached, StoreUnavailable.
        """
        due = due_time(execution_time, delay, now=self._database_clock.now())
        who = caller()
        if not who.may_all:
            installed = self._tasks.get((await self.get(id)).task)
            if installed is not None:
                check_start(who, installed.task)
        held = await self.places(who, 1)
        return await self._carry(self._retry(id, due), held)

    async def _retry(self, id: str, due: datetime) -> Instance:
        with self._doubting():
            instance = await self._store.retry(id, due)
        self._offer(instance)
        return instance

    @contextmanager
    def _doubting(self, *created: Instance) -> Iterator[None]:
        """A write whose answer was lost may have left something pending that nobody offers.

        What was to be ``created`` is offered here and now, stored or not: other nodes leave what is
        due at once to the node that created it.
        """
        try:
            yield
        except StoreUnavailable:
            self._window.doubt()
            for instance in created:
                self._offer(instance)
            raise

    @contextmanager
    def _overtaking(self, id: str) -> Iterator[None]:
        """Two reschedules at once may be answered in another order than they were carried out."""
        if self._rescheduling[id]:
            self._overlapping.add(id)
        self._rescheduling[id] += 1
        try:
            yield
        finally:
            if id in self._overlapping:
                self._window.doubt()
            self._rescheduling[id] -= 1
            if not self._rescheduling[id]:
                del self._rescheduling[id]
                self._overlapping.discard(id)

    async def _insert(self, placed: Instance, load: Load) -> Instance | LaterError:
        with load, self._doubting(placed):
            result = await self._inserts.submit(placed)
        return self._answer(result)

    async def _insert_many(
        self, placed: Sequence[Instance], load: Load
    ) -> Sequence[Instance | LaterError]:
        with load, self._doubting(*placed):
            results = await self._store.insert(placed)
        return [self._answer(result) for result in results]

    def _check(self, who: Principal, request: NewInstance) -> None:
        if not who.may_all:
            check_scope(who, request.task, request.labels)
        installed = self._tasks.get(request.task)
        if installed is None:
            raise TaskNotFound(request.task, self._tasks.nearest(request.task))
        if installed.task.permission:
            check_start(who, installed.task)

    async def _check_seen(self, id: str) -> None:
        """A look before a change, for those who are confined: task and labels never change."""
        if not caller().scope.is_everything:
            await self.get(id)

    def _answer(self, result: InsertResult) -> Instance | LaterError:
        if not isinstance(result, Inserted):
            return InstanceAlreadyExists(result.id)
        if result.is_new or result.instance.state is State.PENDING:
            self._offer(result.instance)
        return result.instance

    def _offer(self, instance: Instance) -> None:
        self._intake.offer(
            instance.task, instance.id, instance.execution_time, priority=instance.priority
        )
