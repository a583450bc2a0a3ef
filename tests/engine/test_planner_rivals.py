"""Several planners, of which one dies, stands still or shares: each time has one instance all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from later_core.errors import StoreUnavailable
from later_core.local.membership import Membership
from later_core.model.instance import Instance, NewInstance
from later_core.model.node import NodeStatus
from later_core.model.query import Filter
from later_core.model.recurrence.rules import CronRule, TimesRule
from later_core.model.schedule import CatchUp, Overlap
from later_core.model.state import State
from later_core.ports.schedules import ScheduleStep
from later_core.ports.store import Store
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import a_node, a_schedule
from later_core.testing.clock import FakeClock
from later_core.testing.store_contract.steps import together
from tests.engine.planners import EVERY_MINUTE, MINUTE, Bench


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


@pytest.fixture
def bench() -> Bench:
    return Bench()


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
