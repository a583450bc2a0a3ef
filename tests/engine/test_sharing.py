"""Several nodes on one store: they share the work, and the coming and going of any delays nothing."""

from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from later_core.local.intake import Intake
from later_core.model.instance import Instance
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


@pytest.fixture
def cluster(running):
    class Cluster:
        """Nodes of one store and one clock, each with a recording task of its own."""

        def __init__(self):
            self.clock = FakeClock()
            self.store = MemoryStore(clock=self.clock)
            self.stack = AsyncExitStack()

        async def __aenter__(self):
            await self.stack.__aenter__()
            return self

        async def __aexit__(self, *failure):
            await self.stack.__aexit__(*failure)

        async def join(self, *tasks, body=None):
            tasks = tasks or (RecordingTask(body),)
            node = await self.stack.enter_async_context(
                running(*tasks, store=self.store, clock=self.clock)
            )
            return node, tasks[0]

    return Cluster()


async def test_two_nodes_share_what_is_due_and_start_each_once(cluster):
    async with cluster:
        a, task_a = await cluster.join()
        _, task_b = await cluster.join()
        await cluster.clock.advance(3)
        for number in range(100):
            await a.create(f"i{number}", delay=20)
        await cluster.clock.advance(25)
        ran_a, ran_b = task_a.called("run"), task_b.called("run")
        assert sorted(ran_a + ran_b) == sorted(f"i{n}" for n in range(100))
        assert min(len(ran_a), len(ran_b)) > 20
        stats = [await node.parts.inventory.stats() for node in (a,)]
        assert stats[0].window_size == 0


async def test_what_was_created_through_one_node_starts_on_time_on_the_other(cluster):
    async with cluster:
        a, task_a = await cluster.join()
        _, task_b = await cluster.join()
        await cluster.clock.advance(3)
        created = [await a.create(f"i{number}", delay=2) for number in range(40)]
        await cluster.clock.advance(3)
        assert task_b.called("run")
        for instance in created:
            ended = await a.get(instance.id)
            assert ended.start_time is not None
            assert ended.start_time - instance.execution_time < timedelta(milliseconds=5)
        assert len(task_a.called("run")) + len(task_b.called("run")) == 40


async def test_an_abort_reaches_the_node_that_holds_the_run(cluster):
    async with cluster:
        cancelled = []

        async def body(context):
            try:
                await cluster.clock.sleep(1000)
            finally:
                cancelled.append(context.instance.id)

        a, task_a = await cluster.join(body=body)
        b, task_b = await cluster.join(body=body)
        await cluster.clock.advance(3)
        for number in range(10):
            await a.create(f"i{number}", delay=5)
        await cluster.clock.advance(6)
        assert task_a.called("run")
        assert task_b.called("run")
        for number in range(10):
            aborted = await b.parts.instances.abort(f"i{number}")
            assert aborted.before.state is State.RUNNING
        await cluster.clock.advance(1)
        assert sorted(cancelled) == [f"i{n}" for n in range(10)]
        called_back = Counter(task_a.called("on_abort") + task_b.called("on_abort"))
        assert called_back == Counter(f"i{n}" for n in range(10))


async def test_a_reschedule_reaches_the_owner(cluster):
    async with cluster:
        a, task_a = await cluster.join()
        b, task_b = await cluster.join()
        await cluster.clock.advance(3)
        for number in range(10):
            await a.create(f"i{number}", delay=500)
        for number in range(10):
            due = cluster.clock.now() + timedelta(seconds=4)
            await b.parts.instances.reschedule(
                f"i{number}", execution_time=due, delay=None, revision=None
            )
        await cluster.clock.advance(5)
        assert len(task_a.called("run")) + len(task_b.called("run")) == 10


async def test_a_node_that_drains_delays_nothing_and_takes_on_nothing_more(cluster):
    async with cluster:
        a, task_a = await cluster.join()
        b, task_b = await cluster.join()
        await cluster.clock.advance(3)
        for number in range(60):
            await a.create(f"i{number}", delay=1 + number / 10)
        node_a = (await a.parts.inventory.stats()).node
        await cluster.store.ask_to_drain(node_a)
        await cluster.clock.advance(10)
        assert not a.parts.health.is_serving
        assert b.parts.health.is_serving
        assert len(task_a.called("run")) + len(task_b.called("run")) == 60
        for number in range(60):
            ended = await b.get(f"i{number}")
            assert ended.start_time is not None
            assert ended.start_time - ended.execution_time < timedelta(milliseconds=20)
        before = len(task_a.called("run"))
        for number in range(20):
            await b.create(f"later{number}", delay=3)
        await cluster.clock.advance(10)
        assert len(task_a.called("run")) == before
        statuses = {s.node.id: s.node.is_draining for s in await cluster.store.nodes()}
        assert statuses[node_a]


async def test_work_of_a_task_that_only_one_node_has_runs_there(cluster):
    async with cluster:
        a, _ = await cluster.join()
        rare = RecordingTask(name="rare")
        await cluster.join(rare, RecordingTask())
        await cluster.clock.advance(3)
        due = cluster.clock.now() + timedelta(seconds=5)
        await cluster.store.insert(
            [
                Instance(id=f"r{n}", task="rare", execution_time=due, create_time=a.clock.now())
                for n in range(20)
            ]
        )
        await cluster.clock.advance(6)
        assert len(rare.called("run")) == 20


async def test_what_a_dead_node_had_only_pending_is_not_late_beyond_two_leases(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    survivor_task = RecordingTask()
    async with running(survivor_task, store=store, clock=clock, lease="10s") as survivor:
        from later_core.testing.builders import a_node

        ghost = a_node("ghost", tasks=("record",))
        await store.beat(ghost, lease=timedelta(seconds=10))
        await clock.advance(2)
        for number in range(30):
            await survivor.create(f"i{number}", delay=3)
        await clock.advance(3.5)
        died_with = 30 - len(survivor_task.called("run"))
        assert died_with > 0
        await clock.advance(17)
        assert len(survivor_task.called("run")) == 30


async def test_who_creates_what_is_due_at_once_starts_it_at_once(cluster):
    async with cluster:
        a, task_a = await cluster.join()
        _, task_b = await cluster.join()
        await cluster.clock.advance(3)
        for number in range(20):
            await a.create(f"i{number}", delay=Intake.SOON_MS / 2000)
        await cluster.clock.advance(1)
        assert len(task_a.called("run")) + len(task_b.called("run")) == 20


async def test_what_is_created_through_a_drained_node_starts_at_once_on_another(cluster):
    async with cluster:
        a, task_a = await cluster.join()
        _, task_b = await cluster.join()
        await cluster.clock.advance(3)
        node_a = (await a.parts.inventory.stats()).node
        await a.parts.nodes.drain(node_a)
        await cluster.clock.advance(5)
        for number in range(20):
            await a.create(f"i{number}", delay=0)
        await cluster.clock.advance(2)
        assert sorted(task_b.called("run")) == sorted(f"i{n}" for n in range(20))
        assert task_a.called("run") == []


async def test_a_node_that_has_drained_says_so_also_when_it_is_alone(cluster):
    async with cluster:
        a, _ = await cluster.join()
        await cluster.clock.advance(3)
        (before,) = await a.parts.nodes.list()
        assert (before.buckets, before.status.node.is_drained) == (256, False)
        await a.parts.nodes.drain(before.status.node.id)
        await cluster.clock.advance(3)
        (after,) = await a.parts.nodes.list()
        assert (after.buckets, after.status.node.is_drained) == (0, True)


async def test_what_is_due_just_where_its_creator_leaves_it_to_its_owner_is_taken_by_one(cluster):
    async with cluster:
        a, _ = await cluster.join()
        await cluster.join()
        await cluster.clock.advance(3)
        for number in range(20):
            await a.create(f"i{number}", delay=Intake.SOON_MS / 1000)
        await cluster.clock.advance(1.5)
        for number in range(20):
            assert (await a.get(f"i{number}")).state is State.SUCCEEDED
