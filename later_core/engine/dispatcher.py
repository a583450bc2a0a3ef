"""Loop: when instances are due, claim them in batches and hand them to the runner."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from later_core.engine.admission import Admission
from later_core.engine.means import Admitted
from later_core.engine.supervisor import backoff
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.lease import Lease
from later_core.local.runs import Run, Runs
from later_core.local.window import Entry, Window
from later_core.model.instant import from_millis, to_millis
from later_core.ports.clock import Clock
from later_core.ports.store import Store
from later_core.ports.turns import in_turns

_log = structlog.get_logger(__name__)

_BATCH = 1_000
#: Claims under way at once: while one waits for the disk, the next is being made.
_CLAIMS_IN_FLIGHT = 3
#: The share of the lead that a claim may wait for company. What is due evenly, one by one, would else be
#: claimed one by one, at ten times the work.
_GATHER = 1 / 4
#: So many of a claim are handed over in one turn of the event loop, a quarter of a millisecond.
_PORTION = 16
#: The loop looks again at least this often, in seconds; it also bounds how long it sleeps while
#: the lease is lost or the backlog's allowance fills.
_LONGEST_SLEEP = 1.0
#: A claim that was given up may still reach the database: for so long, in seconds, what it may have
#: taken is looked for again and again.
_LATE_CLAIMS = 30.0
_LOOK_EVERY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How early claims are made, and how many instances of the backlog are claimed a second."""

    claim_lead: timedelta
    catch_up_rate: float


class Dispatcher:
    """Claims what is due, at most ``claim_lead`` ahead, so that the write is not part of the lateness.

    The runner holds what was claimed ahead until its very execution time. The backlog is claimed
    only when nothing is due now, at no more than ``catch_up_rate``.

    What a claim leaves alone since it needs a slot waits in the lobby, and comes back once it is admitted.
    """

    def __init__(
        self,
        *,
        store: Store,
        window: Window,
        runs: Runs,
        lease: Lease,
        clock: Clock,
        database_clock: DatabaseClock,
        admission: Admission,
        start: Callable[[Run], None],
        pace: Pace,
    ) -> None:
        self._store = store
        self._window = window
        self._runs = runs
        self._lease = lease
        self._clock = clock
        self._database_clock = database_clock
        self._admission = admission
        self._start = start
        self._lead_ms = pace.claim_lead / timedelta(milliseconds=1)
        self._latest_ms = self._lead_ms * (1 - _GATHER)
        self._rate = pace.catch_up_rate
        self._allowance = 0.0
        self._allowance_at = clock.monotonic()
        self._failures = 0
        self._in_doubt_until = float("-inf")
        self._looked_at = float("-inf")
        self._stopping = False
        #: Set once nothing more is claimed, and every claim has been answered.
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        """Dispatch until ``stop``; then wait for the claims under way, so that none is orphaned."""
        self._in_flight = asyncio.Semaphore(_CLAIMS_IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as claims:
                while not self._stopping:
                    if self._failures or self._is_look_due():
                        await self._hand_back_lost_claims()
                    await self._in_flight.acquire()
                    # First whether anything is due: that is when news from here on begin to count.
                    is_due = self._is_due()
                    if admitted := self._admission.pop(_BATCH):
                        self._runs.reserve(len(admitted))
                        claim = claims.create_task(self._claim_admitted(admitted))
                        claim.add_done_callback(partial(self._release, len(admitted)))
                    elif entries := self._next_batch() if is_due else []:
                        self._runs.reserve(len(entries))
                        claim = claims.create_task(self._claim(entries))
                        claim.add_done_callback(partial(self._release, len(entries)))
                    else:
                        self._in_flight.release()
                        await self._sleep()
            self._note_stop()
        except BaseException as error:
            # Claims under way were cancelled with the loop: the next run hands them back first,
            # and a pull finds again what they had taken out of the window.
            self._note_failure()
            self._window.doubt()
            if isinstance(error, asyncio.CancelledError):
                self._note_stop()
            raise

    def _note_stop(self) -> None:
        self._admission.stop()
        self.stopped.set()

    def stop(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._window.changed.set()
        self._runs.has_room.set()

    def _is_due(self) -> bool:
        """Whether something must be claimed now: then what is due a little later goes with it."""
        # Cleared before the window is read: an offer after this wakes the sleep that follows.
        self._window.changed.clear()
        due_ms = self._window.next_due()
        return (
            due_ms is not None and due_ms <= self._database_clock.now_ms() + self._latest_ms
        ) or self._window.has_backlog()

    def _next_batch(self) -> list[Entry]:
        limit = min(_BATCH, self._runs.room)
        if not limit or not self._lease.is_held:
            return []
        now_ms = self._database_clock.now_ms()
        entries = self._window.pop_due(now_ms, limit)
        if len(entries) < limit:
            entries += self._window.pop_ahead(now_ms + self._lead_ms, limit - len(entries))
        return entries or self._from_backlog(limit)

    def _from_backlog(self, limit: int) -> list[Entry]:
        moment = self._clock.monotonic()
        grown = self._allowance + (moment - self._allowance_at) * self._rate
        # No more than a tenth of a second's worth is saved up, so that the drain stays even.
        self._allowance = min(grown, max(1.0, self._rate / 10))
        self._allowance_at = moment
        entries = self._window.pop_backlog(min(limit, int(self._allowance)))
        self._allowance -= len(entries)
        return entries

    async def _sleep(self) -> None:
        """Until something must be claimed, or there may be room."""
        if not self._runs.room:
            await self._clock.wait(self._runs.has_room, _LONGEST_SLEEP)
            return
        seconds = _LONGEST_SLEEP
        if self._lease.is_held:
            due_ms = self._window.next_due()
            if due_ms is not None:
                until = (due_ms - self._latest_ms - self._database_clock.now_ms()) / 1000.0
                seconds = min(seconds, max(0.0, until))
            if self._window.has_backlog():
                seconds = min(seconds, max(0.001, (1.0 - self._allowance) / self._rate))
        else:
            seconds = 0.05
        await self._clock.wait(self._window.changed, seconds)

    async def _claim(self, entries: Sequence[Entry]) -> None:
        """Claim a batch. Entries that are not claimed for want of a database go back to the window;
        those that the store does not give us are no longer due, or somebody else's."""
        # The estimate of the clock may have stepped back since they were found to be due.
        until_ms = max(
            int(self._database_clock.now_ms() + self._lead_ms), *(due_ms for due_ms, _ in entries)
        )
        until = from_millis(until_ms)
        # The very same are asked about afterwards: a breaker may open or close meanwhile.
        limited = self._admission.limited_tasks
        # A claim is told of tasks with a limit only where there are any.
        but_limited: dict[str, Any] = {"but_tasks": limited} if limited else {}
        try:
            claimed = await self._store.claim(
                [id for _, id in entries], node=self._lease.node, until=until, **but_limited
            )
        except StoreUnavailable as error:
            self._note_failure()
            _log.warning("claim failed", count=len(entries), detail=error.detail)
            self._window.put_back(entries, now_ms=self._database_clock.now_ms())
            return
        self._runs.note_claim(due=len(entries), won=len(claimed))
        async for portion in in_turns(claimed, _PORTION):
            for instance in portion:
                self._start(self._runs.add(instance))
        if len(claimed) < len(entries):
            won = {instance.id for instance in claimed}
            await self._gate([entry for entry in entries if entry[1] not in won], until, limited)

    async def _gate(
        self, entries: Sequence[Entry], until: datetime, limited: frozenset[str]
    ) -> None:
        """Of what was not claimed some may need a slot, a permit or a place: those wait for it."""
        try:
            gated = await self._store.gated([id for _, id in entries], until=until, tasks=limited)
        except StoreUnavailable:
            self._window.put_back(entries, now_ms=self._database_clock.now_ms())
            return
        if gated:
            self._admission.offer(gated)

    async def _claim_admitted(self, admitted: Sequence[Admitted]) -> None:
        """Claim what holds a slot of this very node; a slot that comes to no run is given back.

        A node that was declared dead lives on under another id: the slots of the former one are void.
        """
        node = self._lease.node
        left = {one.gated.id: one for one in admitted}
        ids = [id for id, one in left.items() if one.slot is None or one.slot.node == node]
        until_ms = self._database_clock.now_ms() + self._lead_ms
        try:
            claimed = await self._store.claim(
                ids, node=node, until=from_millis(int(until_ms)), is_admitted=True
            )
            self._runs.note_claim(due=len(ids), won=len(claimed))
            for instance in claimed:
                run, one = self._runs.add(instance), left.pop(instance.id)
                run.slot, run.permit, run.place = one.slot, one.permit, one.place
                run.ready_ms = max(run.due_ms, one.since_ms)
                if one.permit is not None:
                    run.due_ms = max(run.due_ms, math.ceil(one.permit.at_ms))
                self._start(run)
        except StoreUnavailable as error:
            self._note_failure()
            _log.warning("claim failed", count=len(ids), detail=error.detail)
            self._put_back(left.values())
        finally:
            for one in left.values():
                self._admission.give_back(one.slot, one.permit, one.place)
        if len(ids) < len(admitted):
            self._put_back(one for one in left.values() if one.gated.id not in ids)

    def _put_back(self, admitted: Iterable[Admitted]) -> None:
        entries = [(one.gated.due_ms, one.gated.id) for one in admitted]
        self._window.put_back(entries, now_ms=self._database_clock.now_ms())

    def _release(self, count: int, _: asyncio.Task[None]) -> None:
        self._runs.release(count)
        self._in_flight.release()

    def _note_failure(self) -> None:
        """A claim was given up: what it has done, or will do when it arrives late, is unknown."""
        self._failures += 1
        self._in_doubt_until = self._clock.monotonic() + _LATE_CLAIMS

    def _is_look_due(self) -> bool:
        moment = self._clock.monotonic()
        return moment < self._in_doubt_until and moment >= self._looked_at + _LOOK_EVERY

    async def _hand_back_lost_claims(self) -> None:
        """What a claim without an answer may have claimed all the same goes back to PENDING.

        Nothing else is claimed meanwhile, so whatever runs under this node in the store and not
        here is such a one.
        """
        await self._runs.no_claims.wait()
        if self._failures:
            await self._clock.sleep(backoff(self._failures))
        try:
            lost = await self._store.reclaim(self._lease.node, [run.key for run in self._runs])
        except StoreUnavailable:
            self._failures += 1
            self._window.doubt()  # what was handed back without an answer is pending
            return
        self._failures = 0
        self._looked_at = self._clock.monotonic()
        if lost:
            _log.info("lost claims handed back", count=len(lost))
        now_ms = self._database_clock.now_ms()
        for instance in lost:
            self._window.offer(
                to_millis(instance.execution_time),
                instance.id,
                now_ms=now_ms,
                priority=instance.priority,
            )
