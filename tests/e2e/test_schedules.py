"""Schedules of every second on two servers and a real MongoDB, and one of the servers is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

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
from later_core.model.schedule import CatchUp, ListedSchedule, Overlap, ScheduleSpec
from later_core.model.state import State
from later_core.ports.clock import SystemClock
from later_core.ports.store import Store
from later_core.service.instances import Instances
from later_core.service.schedule_runs import ScheduleRuns
from later_core.service.schedules import Schedules
from later_core.stores.mongo.store import MongoStore
from later_core.testing.store_contract.steps import moment_of
from later_core.testing.tasks import GivenTasks, RecordingTask

CLOCK = SystemClock()
SECOND = timedelta(seconds=1)
FIRINGS = 12


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The service without a node: it takes requests, and others plan and run."""

    store: Store
    schedules: Schedules

    async def instances_of(self, id: str) -> Sequence[Instance]:
        page = await self.store.list(Filter(schedule_id=id), after=None, limit=1000)
        return page.instances


@pytest.fixture
async def desk(mongodb_uri: str, database: str) -> AsyncIterator[Desk]:
    retention = timedelta(days=1)
    store = MongoStore(uri=mongodb_uri, database=database, retention=retention, clock=CLOCK)
    async with store:
        database_clock = DatabaseClock(CLOCK)
        database_clock.observe(await moment_of(store))
        # Stands for the plugin that the servers have installed; nothing runs here.
        window, tasks = Window(), GivenTasks(RecordingTask(name="echo"))
        intake = Intake(
            window=window, membership=Membership(tasks=()), database_clock=database_clock
        )
        instances = Instances(
            store=store,
            tasks=tasks,
            window=window,
            intake=intake,
            runs=Runs(capacity=1),
            lease=Lease(CLOCK, seconds=1),
            database_clock=database_clock,
        )
        runs = ScheduleRuns(
            store=store,
            instances=instances,
            window=window,
            intake=intake,
            database_clock=database_clock,
        )
        schedules = Schedules(
            store=store,
            tasks=tasks,
            runs=runs,
            doorbell=Doorbell(),
            database_clock=database_clock,
        )
        async with instances, schedules:
            yield Desk(store=store, schedules=schedules)


async def until_over(
    desk: Desk, ids: Sequence[str], seconds: float
) -> Mapping[str, ListedSchedule]:
    """The schedules, once they have ended and all that they made has too."""
    async with asyncio.timeout(seconds):
        while True:
            listed = {id: await desk.schedules.get(id) for id in ids}
            if all(
                one.schedule.look_time is None
                and not one.counts[State.PENDING] + one.counts[State.RUNNING]
                for one in listed.values()
            ):
                return listed
            await CLOCK.sleep(0.2)


async def test_every_second_fires_once_although_a_server_is_killed(
    serve: Any, mongodb_uri: str, database: str, desk: Desk
) -> None:
    settings = {"mongodb_uri": mongodb_uri, "database": database, "lease": "2s"}
    async with asyncio.TaskGroup() as group:
        starting = [group.create_task(serve(**settings)) for _ in range(2)]
    doomed, _ = [task.result() for task in starting]
    start = (await desk.store.now()).replace(microsecond=0) + 2 * SECOND
    by_id: dict[str, Overlap] = {
        f"{overlap.lower()}-{n}": overlap for overlap in Overlap for n in range(4)
    }
    for id, overlap in by_id.items():
        spec = ScheduleSpec(
            template=NewInstance(task="echo", parameters=b'{"message": "tick"}'),
            rules=(IntervalRule(every=SECOND, anchor=start),),
            end_time=start + FIRINGS * SECOND,
            overlap=overlap,
            catch_up=CatchUp.ALL,
        )
        await desk.schedules.create(spec, id=id)
    while await desk.store.now() < start + 4.5 * SECOND:
        await CLOCK.sleep(0.1)
    await doomed.kill()
    listed = await until_over(desk, list(by_id), 60)
    every_time = [start + n * SECOND for n in range(FIRINGS)]
    planners = set()
    for id, overlap in by_id.items():
        instances = await desk.instances_of(id)
        progress = listed[id].schedule.progress
        assert progress.missed == 0
        assert progress.runs + progress.skipped == FIRINGS
        assert len(instances) == progress.runs
        assert {i.state for i in instances} <= {State.SUCCEEDED, State.ABORTED}
        planners |= {i.node for i in instances}
        times: list[datetime] = [i.execution_time for i in instances]
        assert sorted(set(times)) == times
        assert set(times) <= set(every_time)
        if overlap in {Overlap.ALLOW, Overlap.BUFFER_ALL}:
            assert times == every_time
            assert {i.state for i in instances} == {State.SUCCEEDED}
    assert len(planners - {None}) == 2
