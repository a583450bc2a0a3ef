"""Loop: schedules -> instances.

A planner holds what is near: the schedules of its share that fire within the next seconds, as it read
them. At its time each is decided (``engine.deciding``), the decision stored with a compare-and-set,
and carried out (``engine.carrier``). Several planners may look at one schedule: one of them is heard.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from later_core.engine.carrier import Carrier
from later_core.engine.deciding import AHEAD, asks_for_active, decide, decides_at
from later_core.errors import InvalidRequest
from later_core.local.database_clock import DatabaseClock
from later_core.local.doorbell import Doorbell
from later_core.local.lease import Lease
from later_core.local.membership import Membership
from later_core.model.instant import from_millis, to_millis
from later_core.model.planning import let_go_waiting
from later_core.model.schedule import Schedule
from later_core.ports.clock import Clock
from later_core.ports.schedules import FailedRun, LookKey, ScheduleStep
from later_core.ports.store import Store

_log = structlog.get_logger(__name__)

#: Seconds between two looks at what is near.
PAUSE = 1.0
#: What is due sooner is near: so early that its time is met although a look comes late.
_HORIZON = AHEAD + timedelta(seconds=1.5)
#: Schedules of one read, and those that are decided together.
_PAGE = 500
_TOGETHER = 200
#: The most that are held; those behind them are read once these are done.
_NEAR_MAX = 5_000


class Planner:
    """Decides of the schedules of this node's share when they are due."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        database_clock: DatabaseClock,
        lease: Lease,
        membership: Membership,
        doorbell: Doorbell,
        carrier: Carrier,
    ) -> None:
        self._store = store
        self._clock = clock
        self._database_clock = database_clock
        self._lease = lease
        self._membership = membership
        self._doorbell = doorbell
        self._carrier = carrier
        self._near: dict[str, Schedule] = {}
        #: Those of the near that were read and not yet attended to.
        self._fresh: set[str] = set()
        #: Those of other nodes' share that rang here: until when they are held, by the own clock.
        self._guests: dict[str, float] = {}
        self._looks_at = float("-inf")
        #: Whether there was no room for all that is near.
        self._is_cut = False
        self._is_stopped = False

    async def run(self) -> None:
        """Plan until it is stopped.

        Raises:
            StoreUnavailable: run again; what was decided stands on the records.
        """
        self._looks_at = float("-inf")
        while not self._is_stopped:
            self._doorbell.rung.clear()
            await self.turn()
            await self._clock.wait(self._doorbell.rung, self._pause())

    def stop(self) -> None:
        """Plan nothing more; others do."""
        self._is_stopped = True
        self._doorbell.rung.set()

    async def turn(self) -> None:
        """Look where it is time to, and decide of everything that is due."""
        if not self._lease.is_held:
            self._near.clear()
            self._looks_at = self._clock.monotonic() + PAUSE
            return
        await self._answer(self._doorbell.take())
        if self._clock.monotonic() >= self._looks_at:
            await self._look()
        while (ready := self._ready()) and not self._is_stopped:
            await self._attend(ready)
            if self._is_cut and len(self._near) <= _NEAR_MAX // 2:
                await self._look()

    # -- what is near ------------------------------------------------------------------------

    async def _look(self) -> None:
        """Read what is near, in order of time."""
        now = self._clock.monotonic()
        self._looks_at = now + PAUSE
        self._guests = {id: until for id, until in self._guests.items() if until > now}
        near = {id: schedule for id, schedule in self._near.items() if id in self._guests}
        until = self._now() + _HORIZON
        buckets = self._membership.planning_buckets
        after: LookKey | None = None
        while page := await self._store.schedules_due(
            until=until, buckets=buckets, after=after, limit=_PAGE
        ):
            for schedule in page:
                if self._membership.plans(schedule.spec.template.task, schedule.id):
                    near[schedule.id] = schedule
            last = page[-1]
            after = LookKey(last.look_time or until, last.id)
            if len(near) >= _NEAR_MAX:
                break
        self._is_cut = len(near) >= _NEAR_MAX
        self._near = near
        self._fresh = set(near)

    async def _answer(self, ids: Collection[str]) -> None:
        """Read those that rang; whoever took the request sees to what is due before others look."""
        if not ids:
            return
        until = self._now() + _HORIZON
        held_until = self._clock.monotonic() + 2 * PAUSE
        for id in ids:
            self._near.pop(id, None)
        for schedule in await self._store.get_schedules(ids):
            if (look_time := schedule.look_time) is not None and (
                look_time <= until or schedule.spec.pause_on_failure
            ):
                self._near[schedule.id] = schedule
                self._fresh.add(schedule.id)
                self._guests[schedule.id] = held_until

    def _ready(self) -> Sequence[Schedule]:
        """Some of those that are to be attended to now."""
        now = self._now()
        ready: list[Schedule] = []
        for schedule in self._near.values():
            at = decides_at(schedule)
            if schedule.id in self._fresh or (at is not None and at <= now):
                ready.append(schedule)
                if len(ready) == _TOGETHER:
                    break
        return ready

    def _pause(self) -> float:
        """Seconds until there is something to do."""
        left = self._looks_at - self._clock.monotonic()
        times = [at for schedule in self._near.values() if (at := decides_at(schedule)) is not None]
        if times:
            # Of the very reading that decides what is ready: rounded, the two could disagree for ever.
            left_ms = to_millis(min(times)) - self._database_clock.now_ms()
            left = min(left, left_ms / 1000)
        return max(0.0, left)

    def _now(self) -> datetime:
        return from_millis(int(self._database_clock.now_ms()))

    # -- decisions ---------------------------------------------------------------------------

    async def _attend(self, schedules: Sequence[Schedule]) -> None:
        """Carry out what is decided already, else decide; of each one step."""
        for schedule in schedules:
            self._fresh.discard(schedule.id)
            # Unless its step is heard there is no telling how it stands: the next look shows.
            del self._near[schedule.id]
        decided = [s for s in schedules if s.progress.starting]
        decided += await self._decide([s for s in schedules if not s.progress.starting])
        for schedule in await self._carrier.carry_out(decided) if decided else ():
            self._keep(schedule)

    async def _decide(self, schedules: Sequence[Schedule]) -> Sequence[Schedule]:
        """Decide what there is to decide; answers the schedules that have something to carry out."""
        # One moment for all of it: what becomes due meanwhile was not asked about.
        now = self._now()
        asking = [s.id for s in schedules if asks_for_active(s) and _is_due(s, now)]
        active = await self._store.active_instances(asking) if asking else {}
        steps: list[ScheduleStep] = []
        # Read after: a run that fails in between counts as one that has not ended.
        for schedule in await self._not_failed(schedules):
            try:
                after = decide(schedule, active=active.get(schedule.id, ()), now=now)
            except InvalidRequest as error:
                _log.error("schedule not understood", schedule=schedule.id, detail=str(error))
                continue
            if after is not None:
                steps.append(ScheduleStep(schedule, after))
            elif (at := decides_at(schedule)) is None or at > now:
                self._keep(schedule)
        return await self._advance(steps)

    async def _advance(self, steps: Sequence[ScheduleStep]) -> Sequence[Schedule]:
        """Store decisions; answers those of the schedules that now have something to carry out."""
        if not steps:
            return []
        decided: list[Schedule] = []
        for step, is_heard in zip(steps, await self._store.advance_schedules(steps), strict=True):
            schedule = replace(step.before, progress=step.after)
            if not is_heard:
                # Changed, or planned by another: read it again.
                self._doorbell.ring(schedule.id)
            elif step.after.starting:
                decided.append(schedule)
            else:
                self._keep(schedule)
        return decided

    async def _not_failed(self, schedules: Sequence[Schedule]) -> Sequence[Schedule]:
        """Pause those that are to be paused since a run has failed; answers the others."""
        watched = [s.id for s in schedules if s.spec.pause_on_failure and not s.is_paused]
        if not watched:
            return schedules
        failures = await self._store.last_failures(watched)
        going_on: list[Schedule] = []
        for schedule in schedules:
            failure = failures.get(schedule.id)
            if failure is None or not _counts(failure, schedule):
                going_on.append(schedule)
            else:
                await self._store.change_schedule(schedule, self._paused(schedule, failure))
                self._doorbell.ring(schedule.id)
                _log.warning("schedule paused", schedule=schedule.id, failed=failure.id)
        return going_on

    def _paused(self, schedule: Schedule, failure: FailedRun) -> Schedule:
        return replace(
            schedule,
            is_paused=True,
            pause_note=f"paused since {failure.id} failed",
            revision=schedule.revision + 1,
            update_time=self._now(),
            progress=let_go_waiting(schedule.progress),
        )

    def _keep(self, schedule: Schedule) -> None:
        """Hold it as it is now, if it is still near."""
        look_time = schedule.look_time
        if look_time is not None and look_time <= self._now() + _HORIZON:
            self._near[schedule.id] = schedule


def _is_due(schedule: Schedule, now: datetime) -> bool:
    """Whether there may be something to decide."""
    at = decides_at(schedule)
    return bool(schedule.progress.waiting) or (at is not None and at <= now)


def _counts(failure: FailedRun, schedule: Schedule) -> bool:
    """Whether the failure is one that the schedule has not been resumed after."""
    watched_from = schedule.progress.watched_from
    return schedule.spec.pause_on_failure and (
        watched_from is None or failure.finish_time >= watched_from
    )
