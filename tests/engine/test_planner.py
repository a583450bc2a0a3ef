"""Planners on the reference store, turn by turn: each nominal time has one instance, whoever dies when.

Without the loops of a node nothing looks at the clock between two turns, so a year passes at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from later_core.engine.carrier import Carrier
from later_core.engine.planner import Planner
from later_core.errors import StoreUnavailable
from later_core.local.database_clock import DatabaseClock
from later_core.local.doorbell import Doorbell
from later_core.local.intake import Intake
from later_core.local.lease import Lease
from later_core.local.membership import Membership
from later_core.local.runs import Runs
from later_core.local.window import Window
from later_core.model.instance import Instance, NewInstance
from later_core.model.node import NodeStatus
from later_core.model.query import Filter
from later_core.model.recurrence.rules import CronRule, ExcludedDates, IntervalRule, TimesRule
from later_core.model.schedule import CatchUp, Overlap, Schedule, ScheduleSpec
from later_core.model.state import State
from later_core.ports.schedules import ScheduleStep
from later_core.ports.store import Store
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import a_node, a_schedule, failed, succeeded
from later_core.testing.clock import FakeClock
from later_core.testing.store_contract.steps import together

MINUTE = timedelta(minutes=1)
EVERY_MINUTE = ScheduleSpec(template=NewInstance(task="echo"), rules=(IntervalRule(every=MINUTE),))


class Dying(Exception):
    """The process is killed here."""


class Deadly:
    """The store as a node sees it that is killed at its n-th call, before or after that is done."""

    def __init__(self, store: Store, *, dies_at: int, is_done: bool, dies_by: Exception) -> None:
        self._store = store
        self._left = dies_at
        self._is_done = is_done
        self._dies_by = dies_by

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._is_done:
                raise self._dies_by
            answer = await method(*args, **kwargs)
            if self._left == 0:
                raise self._dies_by
            return answer

        return call


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


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Australia/Lord_Howe"])
async def test_a_year_of_nights_has_one_run_each_also_where_the_clocks_change(zone: str) -> None:
    bench = Bench(datetime(2030, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC))
    night = CronRule(expression="30 2 * * *", time_zone=zone)
    await bench.create(replace(EVERY_MINUTE, rules=(night,)))
    year_end = datetime(2031, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    await bench.live_until(year_end, bench.planner())
    days = [time.astimezone(ZoneInfo(zone)).date() for time in await bench.times()]
    assert days == [date(2030, 1, 1) + timedelta(days=n) for n in range(365)]
    schedule = await bench.schedule()
    assert (schedule.progress.runs, schedule.progress.missed) == (365, 0)
    assert {i.state for i in await bench.instances()} == {State.SUCCEEDED}


async def test_working_hours_rest_on_holidays(bench: Bench) -> None:
    spec = replace(
        EVERY_MINUTE,
        rules=(CronRule(expression="0 9-17 * * MON-FRI"),),
        exclusions=(ExcludedDates(dates=(date(2030, 1, 2),)),),
    )
    await bench.create(spec)
    await bench.live_until(datetime(2030, 1, 6, tzinfo=UTC), bench.planner())
    per_day = Counter(time.date().day for time in await bench.times())
    assert per_day == {1: 9, 3: 9, 4: 9}


async def test_a_schedule_that_has_ended_keeps_its_row(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, max_runs=3))
    planner = bench.planner()
    await bench.live_until(start + 10 * MINUTE, planner)
    assert len(await bench.times()) == 3
    schedule = await bench.schedule()
    assert schedule.progress.next_time is None
    assert (schedule.progress.runs, schedule.is_paused) == (3, False)


async def test_nothing_fires_from_its_end_time_on(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, end_time=start + 3 * MINUTE))
    await bench.live_until(start + 10 * MINUTE, bench.planner())
    assert await bench.times() == [start + MINUTE, start + 2 * MINUTE]


async def test_each_instance_is_due_within_the_jitter(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, jitter=timedelta(seconds=30), overlap=Overlap.ALLOW))
    await bench.live_until(start + 20.5 * MINUTE, bench.planner(), is_busy=True)
    late = [time - (start + n * MINUTE) for n, time in enumerate(await bench.times(), start=1)]
    assert len(set(late)) > 10
    assert all(timedelta(0) <= one <= timedelta(seconds=30) for one in late)


@pytest.mark.parametrize(
    ("catch_up", "window", "made_up_for"),
    [
        (CatchUp.ALL, None, list(range(4, 64))),
        (CatchUp.LAST, None, [63]),
        (CatchUp.NONE, None, [63]),
        (CatchUp.ALL, 10 * MINUTE, list(range(54, 64))),
    ],
)
async def test_after_an_outage_it_is_made_up_for_as_asked(
    bench: Bench, catch_up: CatchUp, window: timedelta | None, made_up_for: list[int]
) -> None:
    start = bench.clock.now()
    await bench.create(
        replace(EVERY_MINUTE, overlap=Overlap.ALLOW, catch_up=catch_up, catchup_window=window)
    )
    await bench.live_until(start + 3.5 * MINUTE, bench.planner(), is_busy=True)
    # Sixty times pass while nobody plans; the last of them half a minute ago.
    await bench.pass_to(start + 63.5 * MINUTE)
    await bench.planner().turn()
    assert await bench.times() == [start + n * MINUTE for n in [1, 2, 3, *made_up_for]]
    progress = (await bench.schedule()).progress
    assert progress.missed == 60 - len(made_up_for)


async def test_a_second_that_the_planner_was_late_is_no_outage(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, catch_up=CatchUp.NONE))
    await bench.pass_to(start + MINUTE + timedelta(seconds=50))
    await bench.planner().turn()
    assert await bench.times() == [start + MINUTE]


# -- overlap -------------------------------------------------------------------------------


async def test_skip(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(EVERY_MINUTE)
    planner = bench.planner()
    await bench.live_until(start + 3.5 * MINUTE, planner, is_busy=True)
    assert await bench.times() == [start + MINUTE]
    await bench.end_all()
    await bench.live_until(start + 4.5 * MINUTE, planner)
    assert await bench.times() == [start + MINUTE, start + 4 * MINUTE]
    progress = (await bench.schedule()).progress
    assert (progress.runs, progress.skipped) == (2, 2)


@pytest.mark.parametrize(
    ("overlap", "then", "skipped"),
    [(Overlap.BUFFER_ONE, [1, 2], 2), (Overlap.BUFFER_ALL, [1, 2, 3, 4], 0)],
)
async def test_what_waits_starts_one_by_one_as_the_earlier_end(
    bench: Bench, overlap: Overlap, then: list[int], skipped: int
) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, overlap=overlap, end_time=start + 5 * MINUTE))
    planner = bench.planner()
    await bench.live_until(start + 4.5 * MINUTE, planner, is_busy=True)
    for number in range(1, len(then) + 1):
        await bench.pass_to(bench.clock.now() + timedelta(seconds=1))
        await planner.turn()
        assert await bench.times() == [start + n * MINUTE for n in then[:number]]
        await bench.end_all()
    await bench.pass_to(bench.clock.now() + timedelta(seconds=1))
    await planner.turn()
    assert len(await bench.times()) == len(then)
    progress = (await bench.schedule()).progress
    assert (progress.runs, progress.skipped, progress.waiting) == (len(then), skipped, ())


async def test_abort_running(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, overlap=Overlap.ABORT_RUNNING))
    await bench.live_until(start + 3.5 * MINUTE, bench.planner(), is_busy=True)
    states = [instance.state for instance in await bench.instances()]
    assert states == [State.ABORTED, State.ABORTED, State.PENDING]


async def test_allow(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, overlap=Overlap.ALLOW))
    await bench.live_until(start + 3.5 * MINUTE, bench.planner(), is_busy=True)
    assert {instance.state for instance in await bench.instances()} == {State.PENDING}
    assert await bench.times() == [start + n * MINUTE for n in (1, 2, 3)]


# -- failures ------------------------------------------------------------------------------


async def test_a_failure_pauses_with_a_note_and_what_waits_does_not_run(bench: Bench) -> None:
    start = bench.clock.now()
    spec = replace(EVERY_MINUTE, pause_on_failure=True, overlap=Overlap.BUFFER_ALL)
    await bench.create(spec)
    planner = bench.planner()
    await bench.live_until(start + 3.5 * MINUTE, planner, is_busy=True)
    await bench.end_all(failed)
    # Whoever looks next sees it in the rows: the node that ran it may be dead.
    await bench.pass_to(start + 4 * MINUTE)
    await bench.planner().turn()
    schedule = await bench.schedule()
    assert schedule.is_paused
    assert "s@20300101T000100Z" in schedule.pause_note
    assert (schedule.revision, schedule.progress.waiting) == (2, ())
    assert (schedule.progress.runs, schedule.progress.skipped) == (1, 2)
    await bench.pass_to(start + 9 * MINUTE)
    await planner.turn()
    assert await bench.times() == [start + MINUTE]


async def test_a_failure_before_the_resume_is_forgiven(bench: Bench) -> None:
    start = bench.clock.now()
    schedule = await bench.create(replace(EVERY_MINUTE, pause_on_failure=True))
    await bench.live_until(start + 1.5 * MINUTE, bench.planner(), is_busy=True)
    await bench.end_all(failed)
    schedule = await bench.schedule()
    await bench.pass_to(start + 1.6 * MINUTE)
    progress = replace(
        schedule.progress, watched_from=bench.clock.now(), step=schedule.progress.step + 1
    )
    assert await bench.store.change_schedule(schedule, replace(schedule, progress=progress))
    await bench.live_until(start + 3.5 * MINUTE, bench.planner())
    assert len(await bench.times()) == 3
    assert not (await bench.schedule()).is_paused


async def test_without_the_policy_failures_change_nothing(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(EVERY_MINUTE)
    planner = bench.planner()
    for minute in range(1, 4):
        await bench.live_until(start + (minute + 0.5) * MINUTE, planner, is_busy=True)
        await bench.end_all(failed)
    assert len(await bench.times()) == 3


# -- death and rivals ----------------------------------------------------------------------


async def story(overlap: Overlap, dies_at: int, *, is_done: bool, dies_by: Exception) -> bool:
    """Three minutes, in the middle of which the planner dies at its n-th call; another goes on.

    Answers whether it lived long enough to see the end.
    """
    bench = Bench()
    start = bench.clock.now()
    spec = replace(
        EVERY_MINUTE,
        overlap=overlap,
        catch_up=CatchUp.ALL,
        rules=(TimesRule(times=tuple(start + n * MINUTE for n in (1, 2, 3))),),
    )
    await bench.create(spec)
    await bench.live_until(start + 1.5 * MINUTE, bench.planner(), is_busy=True)
    store = Deadly(bench.store, dies_at=dies_at, is_done=is_done, dies_by=dies_by)
    doomed = bench.planner(store=store)
    has_lived = True
    try:
        await bench.live_until(start + 2.5 * MINUTE, doomed, is_busy=True)
    except type(dies_by):
        has_lived = False
    heir = bench.planner(name="node-b")
    await bench.live_until(start + 3.5 * MINUTE, heir, is_busy=True)
    await heir.turn()
    for _ in range(4):
        await bench.end_all()
        await bench.pass_to(bench.clock.now() + timedelta(seconds=1))
        await heir.turn()
    instances = await bench.instances()
    states = [instance.state for instance in instances]
    progress = (await bench.schedule()).progress
    assert (progress.starting, progress.waiting, progress.aborting) == ((), (), ())
    expected = {
        Overlap.SKIP: ([State.SUCCEEDED], 2),
        Overlap.BUFFER_ONE: ([State.SUCCEEDED] * 2, 1),
        Overlap.BUFFER_ALL: ([State.SUCCEEDED] * 3, 0),
        Overlap.ABORT_RUNNING: ([State.ABORTED] * 2 + [State.SUCCEEDED], 0),
        Overlap.ALLOW: ([State.SUCCEEDED] * 3, 0),
    }[overlap]
    assert (states, progress.skipped) == expected
    assert progress.runs == len(states)
    return has_lived


@pytest.mark.parametrize("overlap", Overlap)
@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("dies_by", [Dying(), StoreUnavailable("lost")])
async def test_death_at_any_call_neither_doubles_nor_skips(
    overlap: Overlap, is_done: bool, dies_by: Exception
) -> None:
    for call in range(1, 50):
        if await story(overlap, call, is_done=is_done, dies_by=dies_by):
            assert call > 3, "it never died"
            return
    pytest.fail("the planner makes more calls than this test follows")


class Interleaved(MemoryStore):
    """Each call takes a while of its own, so that planners meet in the middle of a step."""

    def __init__(self, *, clock: FakeClock, seed: int) -> None:
        super().__init__(clock=clock)
        self._turns = seed

    async def _yield(self) -> None:
        self._turns = (self._turns * 1103515245 + 12345) % 2**31
        for _ in range(1 + (self._turns >> 16) % 7):
            await super()._yield()


@pytest.mark.parametrize("overlap", Overlap)
async def test_planners_that_all_look_at_one_schedule_plan_it_once(overlap: Overlap) -> None:
    for seed in range(40):
        bench = Bench()
        bench.store = Interleaved(clock=bench.clock, seed=seed)
        start = bench.clock.now()
        await bench.create(replace(EVERY_MINUTE, overlap=overlap))
        planners = [bench.planner(name=f"node-{n}") for n in range(3)]
        for minute in range(1, 5):
            await bench.pass_to(start + minute * MINUTE)
            await together(*(planner.turn() for planner in planners))
            if minute == 2:
                await bench.end_all()
        await together(*(planner.turn() for planner in planners))
        progress = (await bench.schedule()).progress
        instances = await bench.instances()
        assert (
            len({i.id for i in instances})
            == len(instances)
            == progress.runs - len(progress.waiting)
        )
        assert progress.runs + progress.skipped == 4
        expected = {
            # What ended at 2 let those at 3 go ahead.
            Overlap.SKIP: [1, 3],
            Overlap.BUFFER_ONE: [1, 2],
            Overlap.BUFFER_ALL: [1, 2],
            Overlap.ABORT_RUNNING: [1, 2, 3, 4],
            Overlap.ALLOW: [1, 2, 3, 4],
        }[overlap]
        assert [i.execution_time for i in instances] == [start + n * MINUTE for n in expected]
        running = [i for i in instances if not i.state.is_final]
        assert len(running) == (2 if overlap is Overlap.ALLOW else 1)


async def test_a_planner_that_stood_still_aborts_nothing_that_came_later(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, overlap=Overlap.ABORT_RUNNING))

    class StandsStill:
        """The store of a node that stops just before it carries out its second decision."""

        def __init__(self) -> None:
            self.goes_on = asyncio.Event()
            self.stands = asyncio.Event()
            self.steps = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.store, name)

        async def advance_schedules(self, steps: list[ScheduleStep]) -> Any:
            answer = await bench.store.advance_schedules(steps)
            self.steps += 1
            if self.steps == 3:
                self.stands.set()
                await self.goes_on.wait()
            return answer

    store = StandsStill()
    stale, other = bench.planner(store=store), bench.planner(name="node-b")
    await bench.pass_to(start + MINUTE)
    await stale.turn()
    await bench.pass_to(start + 2 * MINUTE)
    async with asyncio.TaskGroup() as group:
        standing = group.create_task(stale.turn())
        await store.stands.wait()
        await other.turn()
        await bench.live_until(start + 4.5 * MINUTE, other, is_busy=True)
        store.goes_on.set()
        await standing
    states = [instance.state for instance in await bench.instances()]
    assert states == [State.ABORTED] * 3 + [State.PENDING]


async def test_a_schedule_deleted_in_the_middle_leaves_nothing_pending(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(EVERY_MINUTE)

    class Deletes:
        """The store on which somebody deletes the schedule as soon as its run is decided."""

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.store, name)

        async def insert(self, instances: list[Instance]) -> Any:
            assert await bench.store.delete_schedule(await bench.schedule())
            return await bench.store.insert(instances)

    await bench.pass_to(start + MINUTE)
    await bench.planner(store=Deletes()).turn()
    (instance,) = await bench.instances()
    assert instance.state is State.ABORTED


# -- sharing -------------------------------------------------------------------------------


def status(name: str, *tasks: str) -> NodeStatus:
    return NodeStatus(node=a_node(name, tasks=tasks), beat_time=datetime(2030, 1, 1, tzinfo=UTC))


async def test_planners_share_the_schedules_and_leave_none_out(bench: Bench) -> None:
    start = bench.clock.now()
    ids = [f"s{n}" for n in range(60)]
    for id in ids:
        await bench.create(EVERY_MINUTE, id)
    statuses = [status("node-a", "echo"), status("node-b", "echo"), status("node-c", "bash")]
    planned: dict[str, set[str]] = {}
    await bench.pass_to(start + MINUTE)
    for one in statuses:
        before = {i.id for i in (await bench.store.list(Filter(), after=None, limit=999)).instances}
        membership = Membership(tasks=one.node.tasks)
        membership.update(one.node.id, statuses)
        await bench.planner(name=one.node.id, membership=membership).turn()
        after = {i.id for i in (await bench.store.list(Filter(), after=None, limit=999)).instances}
        planned[one.node.id] = after - before
    assert len(planned["node-a"]) > 10
    assert len(planned["node-b"]) > 10
    # It could not offer them to those who can run them.
    assert planned["node-c"] == set()
    assert sum(map(len, planned.values())) == len(ids)


async def test_a_task_that_nobody_has_is_planned_all_the_same(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(replace(EVERY_MINUTE, template=NewInstance(task="elsewhere")))
    statuses = [status("node-a", "echo"), status("node-b", "echo")]
    await bench.pass_to(start + MINUTE)
    for one in statuses:
        membership = Membership(tasks=one.node.tasks)
        membership.update(one.node.id, statuses)
        await bench.planner(name=one.node.id, membership=membership).turn()
    assert [i.state for i in await bench.instances()] == [State.PENDING]


async def test_a_rule_that_is_not_understood_holds_up_no_other(bench: Bench) -> None:
    start = bench.clock.now()
    strange = replace(EVERY_MINUTE, rules=(CronRule(expression="@whenever"),))
    good = a_schedule("strange", now=start, spec=EVERY_MINUTE)
    await bench.store.insert_schedule(replace(good, spec=strange))
    await bench.create(EVERY_MINUTE)
    await bench.live_until(start + 2.5 * MINUTE, bench.planner())
    assert len(await bench.times()) == 2


async def test_more_than_are_held_at_once_are_all_planned(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("later_core.engine.planner._NEAR_MAX", 20)
    monkeypatch.setattr("later_core.engine.planner._PAGE", 7)
    start = bench.clock.now()
    for number in range(100):
        await bench.create(EVERY_MINUTE, f"s{number:03d}")
    await bench.pass_to(start + MINUTE)
    await bench.planner().turn()
    page = await bench.store.list(Filter(), after=None, limit=999)
    assert len(page.instances) == 100


async def test_a_node_without_its_lease_plans_nothing(bench: Bench) -> None:
    start = bench.clock.now()
    await bench.create(EVERY_MINUTE)
    planner = bench.planner()
    await bench.clock.advance((start + MINUTE - bench.clock.now()).total_seconds())
    await planner.turn()
    assert await bench.times() == []
