"""Loop: when instances are due, claim them in batches and hand them to the runner."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from later_core.engine.supervisor import backoff
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.health import Health
from later_core.local.lease import Lease
from later_core.local.runs import Run, Runs
from later_core.local.window import Entry, Window
from later_core.model.instant import from_millis, to_millis
from later_core.ports.clock import Clock
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)

_BATCH = 1_000
#: Claims under way at once: while one waits for the disk, the next is being made.
_CLAIMS_IN_FLIGHT = 3
#: The share of the lead that a claim may wait for company. What is due evenly, one by one, would else be
#: claimed one by one, at ten times the work.
_GATHER = 1 / 4
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
    """

    def __init__(
        self,
        *,
        store: Store,
        window: Window,
        runs: Runs,
        lease: Lease,
        health: Health,
        clock: Clock,
        database_clock: DatabaseClock,
        start: Callable[[Run], None],
        pace: Pace,
    ) -> None:
        self._store = store
        self._window = window
        self._runs = runs
        self._lease = lease
        self._health = health
        self._clock = clock
        self._database_clock = database_clock
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
        self._health.loop_runs(True)
        try:
            async with asyncio.TaskGroup() as claims:
                while not self._stopping:
                    if self._failures or self._is_look_due():
                        await self._hand_back_lost_claims()
                    await self._in_flight.acquire()
                    entries = self._next_batch() if self._is_due() else []
                    if entries:
                        self._runs.reserve(len(entries))
                        claim = claims.create_task(self._claim(entries))
                        claim.add_done_callback(partial(self._release, len(entries)))
                    else:
                        self._in_flight.release()
                        await self._sleep()
            self.stopped.set()
        except BaseException as error:
            # Claims under way were cancelled with the loop: the next run hands them back first,
            # and a pull finds again what they had taken out of the window.
            self._note_failure()
            self._window.doubt()
            if isinstance(error, asyncio.CancelledError):
                self.stopped.set()
            raise
        finally:
            self._health.loop_runs(False)

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
        try:
            claimed = await self._store.claim(
                [id for _, id in entries], node=self._lease.node, until=from_millis(until_ms)
            )
        except StoreUnavailable as error:
            self._note_failure()
            _log.warning("claim failed", count=len(entries), detail=error.detail)
            self._window.put_back(entries, now_ms=self._database_clock.now_ms())
        else:
            self._runs.note_claim(due=len(entries), won=len(claimed))
            for instance in claimed:
                self._start(self._runs.add(instance))

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
