"""The reference store: every promise of the port in plain Python, for tests and simulation.

It lives in one event loop and forgets everything with its process, so ``later serve`` never offers
it. Each call first yields to the loop, as one over a network would, and is then a single step that
nothing can come between.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta

from later_core.errors import InstanceNotFound
from later_core.model.bucket import bucket_of
from later_core.model.event import EventBatch, EventType
from later_core.model.instance import Instance
from later_core.model.instant import from_millis, round_up, to_millis
from later_core.model.outcome import Ending
from later_core.model.query import Counts, DueEntry, Filter, Page, PageKey
from later_core.model.scope import EVERYTHING, Scope
from later_core.model.state import State
from later_core.model.transfer import Restored
from later_core.ports.clock import Clock
from later_core.ports.store import Aborted, IdTaken, Inserted, InsertResult, Snapshot, Store
from later_core.stores import memory_moves as moves
from later_core.stores.memory_access import MemoryAccess
from later_core.stores.memory_admission import MemoryAdmission
from later_core.stores.memory_history import History, is_news, position_of
from later_core.stores.memory_nodes import MemoryNodes
from later_core.stores.memory_schedules import MemorySchedules
from later_core.stores.memory_snapshots import Everything, MemorySnapshot, Moments, take

#: How long ``follow`` is silent before it says where it stands.
_BOOKMARK_SECONDS = 1.0


class MemoryStore(MemorySchedules, MemoryNodes, MemoryAdmission, MemoryAccess, Store):
    """A Store whose clock is the one it is given; several nodes of one test may share it.

    ``history_length`` changes are remembered for ``follow``, older positions are lost. Opening and
    closing do nothing, so a node that restarts finds what it left.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        retention: timedelta = timedelta(days=7),
        audit_retention: timedelta = timedelta(days=90),
        history_length: int = 100_000,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._retention = retention
        self._audit_retention = audit_retention
        self._history = History(length=history_length)
        self._moments = Moments()
        self._instances: dict[str, Instance] = {}
        self._by_time: list[tuple[int, str]] = []
        self._pending: list[tuple[int, str]] = []

    async def open(self) -> None:
        await self._yield()

    async def close(self) -> None:
        await self._yield()

    async def now(self) -> datetime:
        await self._yield()
        return self._now()

    # -- what people ask ---------------------------------------------------------------------

    async def insert(self, instances: Sequence[Instance]) -> Sequence[InsertResult]:
        await self._yield()
        return [self._insert_one(instance) for instance in instances]

    async def get(self, id: str) -> Instance | None:
        await self._yield()
        return self._instances.get(id)

    async def list(self, filter: Filter, *, after: PageKey | None, limit: int) -> Page:
        await self._yield()
        matching = self._matching(filter, after=after)
        page = take(matching, limit)
        has_more = next(matching, None) is not None
        last = page[-1] if page else None
        key = PageKey(last.execution_time, last.id) if last and has_more else None
        return Page(page, key)

    async def abort(self, id: str) -> Aborted:
        await self._yield()
        before = self._existing(id)
        return Aborted(before, self._write(moves.aborted(before, now=self._now())))

    async def reschedule(
        self, id: str, execution_time: datetime, *, revision: int | None
    ) -> Instance:
        await self._yield()
        before = self._existing(id)
        return self._write(moves.rescheduled(before, execution_time, revision=revision))

    async def retry(self, id: str, execution_time: datetime) -> Instance:
        await self._yield()
        return self._write(moves.retried(self._existing(id), execution_time))

    async def counts(self, installed: Collection[str], *, scope: Scope = EVERYTHING) -> Counts:
        await self._yield()
        by_state = dict.fromkeys(State, 0)
        unresolved: Counter[str] = Counter()
        for instance in self._instances.values():
            if not scope.covers(instance.task, instance.labels):
                continue
            by_state[instance.state] += 1
            if instance.state is State.PENDING and instance.task not in installed:
                unresolved[instance.task] += 1
        return Counts(by_state=by_state, unresolved=dict(unresolved))

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
        await self._yield()
        start = bisect_left(self._pending, (to_millis(round_up(since)), "")) if since else 0
        if after is not None:
            start = max(start, bisect_right(self._pending, (after.due_ms, after.id)))
        entries: list[DueEntry] = []
        for due_ms, id in self._pending[start:]:
            if due_ms > to_millis(until) or len(entries) >= limit:
                break
            task = self._instances[id].task
            if task in tasks and (buckets is None or bucket_of(id) in buckets):
                entries.append(DueEntry(due_ms, id))
        return entries

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
        await self._yield()
        first = to_millis(round_up(since)) if since else None
        found = sorted(
            (-self._instances[id].priority, due_ms, id)
            for due_ms, id in self._pending
            if self._instances[id].priority
            and self._instances[id].task in tasks
            and (buckets is None or bucket_of(id) in buckets)
            and (first is None or due_ms >= first)
            and due_ms <= to_millis(until)
        )
        start = bisect_right(found, (-after.priority, after.due_ms, after.id)) if after else 0
        return [DueEntry(due_ms, id, -rank) for rank, due_ms, id in found[start : start + limit]]

    async def claim(
        self,
        ids: Sequence[str],
        *,
        node: str,
        until: datetime,
        is_admitted: bool = False,
        but_tasks: Collection[str] = (),
    ) -> Sequence[Instance]:
        await self._yield()
        return [
            self._write(moves.claimed(instance, node=node))
            for instance in self._due_ones(ids, until)
            if (is_admitted or instance.concurrency is None) and instance.task not in but_tasks
        ]

    async def started(self, starts: Mapping[tuple[str, int], datetime], *, node: str) -> None:
        await self._yield()
        for (id, attempt), start_time in starts.items():
            instance = self._instances.get(id)
            if (
                instance is not None
                and moves.is_owner(instance, node=node, attempt=attempt)
                and instance.start_time != start_time
            ):
                self._write(moves.changed(instance, start_time=start_time))

    async def finish(self, endings: Sequence[Ending]) -> Sequence[bool]:
        await self._yield()
        return [self._finish_one(ending) for ending in endings]

    # -- nodes -------------------------------------------------------------------------------

    async def recover(self, *, limit: int) -> Sequence[Instance]:
        await self._yield()
        now = self._now()
        self._bury(now)
        living = self._living()
        orphans = [i for i in self._running() if i.node not in living]
        return [self._write(moves.recovered(i, now=now)) for i in orphans[:limit]]

    async def reclaim(self, node: str, running: Collection[tuple[str, int]]) -> Sequence[Instance]:
        await self._yield()
        stray = [i for i in self._running() if i.node == node and (i.id, i.attempt) not in running]
        return [self._write(moves.reclaimed(i, now=self._now())) for i in stray]

    # -- history -----------------------------------------------------------------------------

    async def follow(self, position: str | None) -> AsyncGenerator[EventBatch, None]:
        await self._yield()
        number = self._history.end if position is None else self._history.number_of(position)
        with self._history.listener() as news:
            events = self._history.after(number)
            while True:
                number += len(events)
                yield EventBatch(events, position_of(number))
                # Cleared before the history is read: a change in between is not slept through.
                news.clear()
                events = self._history.after(number)
                if not events and await self._clock.wait(news, _BOOKMARK_SECONDS):
                    events = self._history.after(number)

    async def news(self, position: str | None) -> AsyncGenerator[EventBatch, None]:
        async with aclosing(self.follow(position)) as batches:
            async for batch in batches:
                told = [event for event in batch.events if is_news(event)]
                yield EventBatch(told, batch.position)

    @asynccontextmanager
    async def snapshot(
        self, filter: Filter, *, moment: str | None = None, after: PageKey | None = None
    ) -> AsyncIterator[Snapshot]:
        await self._yield()
        seen = self._moments.see(self._everything) if moment is None else self._moments.at(moment)
        yield MemorySnapshot(seen, filter, after)

    def _everything(self) -> Everything:
        return Everything(
            position=position_of(self._history.end),
            time=self._now(),
            instances=[self._instances[id] for _, id in self._by_time],
            schedules=self._all_schedules(),
        )

    async def restore(
        self, instances: Sequence[Instance], *, replace: bool, validate_only: bool
    ) -> Sequence[Restored]:
        await self._yield()
        answers: list[Restored] = []
        for wanted in instances:
            stored = self._instances.get(wanted.id)
            answer, written = moves.restored(stored, wanted, may_replace=replace)
            if written is not None and not validate_only:
                self._write(written, EventType.UPDATED if stored else EventType.CREATED)
            answers.append(answer)
        return answers

    def forget_history(self) -> None:
        """Lose every change so far, as a database whose log is too short does."""
        self._history.forget()
        self._moments.forget()

    def expire(self) -> int:
        """Remove what ended and was due ``retention`` ago or longer; answers how many that were."""
        expired = [
            instance
            for instance in self._instances.values()
            if instance.state.is_final and instance.execution_time + self._retention <= self._now()
        ]
        for instance in expired:
            self._unplace(instance)
            self._forget(instance)
            del self._instances[instance.id]
        self._expire_audit(before=self._now() - self._audit_retention)
        return len(expired)

    # -- one step each -----------------------------------------------------------------------

    async def _yield(self) -> None:
        await self._clock.sleep(0)

    def _now(self) -> datetime:
        return from_millis(to_millis(self._clock.now()))

    def _existing(self, id: str) -> Instance:
        instance = self._instances.get(id)
        if instance is None:
            raise InstanceNotFound(id)
        return instance

    def _running(self) -> Iterator[Instance]:
        everything = (self._instances[id] for _, id in self._by_time)
        return (instance for instance in everything if instance.state is State.RUNNING)

    def _matching(self, filter: Filter, *, after: PageKey | None) -> Iterator[Instance]:
        start = (
            bisect_right(self._by_time, (to_millis(after.execution_time), after.id)) if after else 0
        )
        everything = (self._instances[id] for _, id in self._by_time[start:])
        return (instance for instance in everything if filter.matches(instance))

    def _insert_one(self, instance: Instance) -> InsertResult:
        stored = self._instances.get(instance.id)
        if stored is None:
            return Inserted(self._write(instance, EventType.CREATED), is_new=True)
        if stored.fingerprint == instance.fingerprint:
            return Inserted(stored, is_new=False)
        return IdTaken(instance.id)

    def _finish_one(self, ending: Ending) -> bool:
        instance = self._instances.get(ending.id)
        if instance is None:
            return False
        if moves.is_owner(instance, node=ending.node, attempt=ending.attempt):
            self._write(moves.finished(instance, ending))
            return True
        return moves.is_written(instance, ending)

    def _write(self, after: Instance, type: EventType = EventType.UPDATED) -> Instance:
        before = self._instances.get(after.id)
        if before is not None:
            self._unplace(before)
        self._instances[after.id] = after
        self._note(after)
        key = (to_millis(after.execution_time), after.id)
        insort(self._by_time, key)
        if after.state is State.PENDING:
            insort(self._pending, key)
        self._history.append(type, after, self._now())
        return after

    def _unplace(self, instance: Instance) -> None:
        key = (to_millis(instance.execution_time), instance.id)
        del self._by_time[bisect_left(self._by_time, key)]
        if instance.state is State.PENDING:
            del self._pending[bisect_left(self._pending, key)]
