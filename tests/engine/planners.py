"""A store, a clock, and planners that a test turns by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from later_core.engine.carrier import Carrier
from later_core.engine.planner import Planner
from later_core.local.database_clock import DatabaseClock
from later_core.local.doorbell import Doorbell
from later_core.local.intake import Intake
from later_core.local.lease import Lease
from later_core.local.membership import Membership
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.model.instance import Instance, NewInstance
from later_core.model.query import Filter
from later_core.model.recurrence.rules import IntervalRule
from later_core.model.schedule import Schedule, ScheduleSpec
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import a_schedule, succeeded
from later_core.testing.clock import FakeClock

MINUTE = timedelta(minutes=1)
EVERY_MINUTE = ScheduleSpec(template=NewInstance(task="echo"), rules=(IntervalRule(every=MINUTE),))


class Bench:
    """One store, one clock, and as many planners as a test likes."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self.clock = FakeClock(start)
        self.store = MemoryStore(clock=self.clock)
        self._clocks: list[DatabaseClock] = []
        self._leases: list[Lease] = []

    def planner(
        self, *, store: Any = None, name: str = "node-a", membership: Membership | None = None
    ) -> Planner:
        store = store or self.store
        database_clock = DatabaseClock(self.clock)
        database_clock.observe(self.clock.now())
        lease = Lease(self.clock, seconds=10)
        lease.renewed(name, self.clock.monotonic())
        self._clocks.append(database_clock)
        self._leases.append(lease)
        membership = membership or Membership(tasks=["echo"])
        window = Window()
        intake = Intake(window=window, membership=membership, database_clock=database_clock)
        carrier = Carrier(
            store=store,
            window=window,
            intake=intake,
            runs=Runs(capacity=10),
            lease=lease,
            database_clock=database_clock,
        )
        return Planner(
            store=store,
            clock=self.clock,
            database_clock=database_clock,
            lease=lease,
            membership=membership,
            doorbell=Doorbell(),
            carrier=carrier,
        )

    async def create(self, spec: ScheduleSpec, id: str = "s") -> Schedule:
        return await self.store.insert_schedule(a_schedule(id, now=self.clock.now(), spec=spec))

    async def schedule(self, id: str = "s") -> Schedule:
        (schedule,) = await self.store.get_schedules([id])
        return schedule

    async def pass_to(self, moment: datetime) -> None:
        """Time passes, with nobody looking; then the heartbeats have told of it."""
        await self.clock.advance((moment - self.clock.now()).total_seconds())
        for database_clock, lease in zip(self._clocks, self._leases, strict=True):
            database_clock.observe(self.clock.now())
            lease.renewed(lease.node or "node-a", self.clock.monotonic())

    async def instances(self) -> list[Instance]:
        filter = Filter(schedule_id="s")
        page = await self.store.list(filter, after=None, limit=10_000)
        return list(page.instances)

    async def times(self) -> list[datetime]:
        return [instance.execution_time for instance in await self.instances()]

    async def end_all(self, end: Callable[..., Any] = succeeded) -> None:
        """Whatever is pending runs, and ends."""
        pending = [i.id for i in await self.instances() if i.state is State.PENDING]
        claimed = await self.store.claim(pending, node="node-a", until=self.clock.now())
        await self.store.finish([end(one, at=self.clock.now()) for one in claimed])

    async def live_until(self, end: datetime, planner: Planner, *, is_busy: bool = False) -> None:
        """Jump from one nominal time to the next."""
        while True:
            next_time = (await self.schedule()).progress.next_time
            if next_time is None or next_time >= end:
                await self.pass_to(end)
                return
            await self.pass_to(max(next_time, self.clock.now()))
            # As the loop does at the end of its pause.
            await planner.turn()
            if not is_busy:
                await self.end_all()
