"""Life and death of a node: shutdown, loss of the lease, recovery, a database that goes away."""

from datetime import timedelta

from later_core.errors import StoreUnavailable
from later_core.model.instance import Delivery, Instance
from later_core.model.node import Node
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


class FaultyStore(MemoryStore):
    """The reference store behind a line that a test can cut, before or after the work is done."""

    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.is_away = False
        self.lose_answers_of: set[str] = set()

    def _reach(self):
        if self.is_away:
            raise StoreUnavailable("cut by the test")

    async def now(self):
        self._reach()
        return await super().now()

    async def beat(self, node, *, lease):
        self._reach()
        return await super().beat(node, lease=lease)

    async def due(self, **asked):
        self._reach()
        return await super().due(**asked)

    async def recover(self, *, limit):
        self._reach()
        return await super().recover(limit=limit)

    async def reclaim(self, node, running):
        self._reach()
        return await super().reclaim(node, running)

    async def claim(self, ids, *, node, until):
        self._reach()
        claimed = await super().claim(ids, node=node, until=until)
        if "claim" in self.lose_answers_of:
            self.lose_answers_of.discard("claim")
            raise StoreUnavailable("the answer was lost")
        return claimed

    async def finish(self, endings):
        self._reach()
        accepted = await super().finish(endings)
        if "finish" in self.lose_answers_of:
            self.lose_answers_of.discard("finish")
            raise StoreUnavailable("the answer was lost")
        return accepted


def _dead_nodes_instance(clock, id, delivery):
    then = clock.now()
    return Instance(id=id, task="record", execution_time=then, create_time=then, delivery=delivery)


async def test_what_a_dead_node_ran_is_retried_or_failed_by_its_delivery(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    dead = Node(id="dead", address="", version="0", tasks=["record"], started_at=clock.now())
    await store.beat(dead, lease=timedelta(seconds=10))
    await store.insert(
        [
            _dead_nodes_instance(clock, "again", Delivery.AT_LEAST_ONCE),
            _dead_nodes_instance(clock, "once", Delivery.AT_MOST_ONCE),
        ]
    )
    claimed = await store.claim(["again", "once"], node="dead", until=clock.now())
    assert len(claimed) == 2
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        await bench.clock.advance(5)
        assert task.calls == []
        await bench.clock.advance(15)
        assert [call for call in task.calls if call[0] == "run"] == [("run", "again", 2)]
        lost = await bench.get("once")
        assert lost.error is not None
        assert (lost.state, lost.error.reason) == (State.FAILED, "NODE_LOST")


async def test_shutdown_lets_the_running_finish_and_hands_back_the_rest(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)

    async def body(_context):
        await clock.sleep(3)

    task = RecordingTask(body)
    async with running(task, store=store, clock=clock) as bench:
        await bench.create("at-work")
        await bench.create("held", delay=1.2)
        await bench.clock.advance(1)
        assert (await bench.get("held")).state is State.RUNNING
        drained = False

        async def drain():
            nonlocal drained
            await bench.parts.drain(timedelta(seconds=10))
            drained = True

        import asyncio

        async with asyncio.TaskGroup() as group:
            group.create_task(drain())
            await clock.advance(5)
        assert drained
        assert (await bench.get("at-work")).state is State.SUCCEEDED
        held = await bench.get("held")
        assert held.state is State.PENDING
    assert task.called("run") == ["at-work"]


async def test_shutdown_hands_back_what_outlasts_the_grace(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)

    async def body(_context):
        await clock.sleep(1000)

    async with running(RecordingTask(body), store=store, clock=clock) as bench:
        await bench.create("again")
        await bench.create("once", delivery=Delivery.AT_MOST_ONCE)
        await bench.clock.advance(1)
    again, once = await store.get("again"), await store.get("once")
    assert again is not None
    assert again.state is State.PENDING
    assert once is not None
    assert once.error is not None
    assert (once.state, once.error.reason) == (State.FAILED, "SHUTDOWN")


async def test_a_claim_whose_answer_was_lost_still_leads_to_one_run(running):
    clock = FakeClock()
    store = FaultyStore(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        store.lose_answers_of.add("claim")
        await bench.create("a", delay=1)
        await bench.clock.advance(10)
        assert task.called("run") == ["a"]
        assert (await bench.get("a")).state is State.SUCCEEDED


async def test_an_end_whose_answer_was_lost_is_written_once(running):
    clock = FakeClock()
    store = FaultyStore(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        store.lose_answers_of.add("finish")
        await bench.create("a", delay=1)
        await bench.clock.advance(10)
        assert [call for call, _, _ in task.calls] == ["run", "on_success"]
        ended = await bench.get("a")
        assert (ended.state, ended.revision) == (State.SUCCEEDED, 3)


async def test_a_short_absence_of_the_database_loses_nothing(running):
    """The ancestor ended its process at the first database error."""
    clock = FakeClock()
    store = FaultyStore(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        for number in range(20):
            await bench.create(f"i{number}", delay=number)
        await bench.clock.advance(5)
        store.is_away = True
        await bench.clock.advance(5)
        assert not bench.parts.health.is_serving
        store.is_away = False
        await bench.clock.advance(30)
        assert bench.parts.health.is_serving
        assert sorted(set(task.called("run"))) == sorted(f"i{number}" for number in range(20))
        for number in range(20):
            assert (await bench.get(f"i{number}")).state is State.SUCCEEDED


async def test_a_node_that_cannot_renew_its_lease_stops_what_it_runs_and_starts_nothing(running):
    clock = FakeClock()
    store = FaultyStore(clock=clock)
    cancelled = []

    async def body(_context):
        try:
            await clock.sleep(1000)
        finally:
            cancelled.append(clock.monotonic())

    task = RecordingTask(body)
    async with running(task, store=store, clock=clock, lease="10s") as bench:
        await bench.create("at-work")
        await bench.create("next", delay=30)
        await bench.clock.advance(1)
        store.is_away = True
        cut_at = clock.monotonic()
        await bench.clock.advance(60)
        assert len(cancelled) == 1
        assert cancelled[0] - cut_at < 10
        assert task.called("run") == ["at-work"]
        store.is_away = False
        await bench.clock.advance(10)
        assert set(task.called("run")) == {"at-work", "next"}


async def test_a_node_declared_dead_goes_on_under_a_new_name(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    task = RecordingTask()
    async with running(task, store=store, clock=clock) as bench:
        before = (await bench.parts.inventory.stats()).node
        await store.leave(before)
        # A node that the store does not know at all is as good as dead: nobody declares it so.
        other = Node(id="other", address="", version="0", tasks=[], started_at=clock.now())
        await store.beat(other, lease=timedelta(seconds=10))
        await bench.create("a", delay=20)
        await bench.clock.advance(25)
        assert task.called("run") == ["a"]


async def test_what_a_task_does_to_the_loop_does_not_reach_other_tasks(running):
    async def bad(_context):
        raise BaseExceptionGroup("many", [ValueError("one")])

    worse, fine = RecordingTask(bad, name="worse"), RecordingTask()
    async with running(worse, fine) as bench:
        await bench.create("w", task="worse")
        await bench.create("f")
        await bench.clock.advance(2)
        assert (await bench.get("w")).state is State.FAILED
        assert (await bench.get("f")).state is State.SUCCEEDED


async def test_an_attempt_lost_with_its_node_does_not_count_against_the_policy(running):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    dead = Node(id="dead", address="", version="0", tasks=["record"], started_at=clock.now())
    await store.beat(dead, lease=timedelta(seconds=1))
    then = clock.now()
    policy = RetryPolicy(max_attempts=2, min_backoff=timedelta(seconds=1))
    await store.insert(
        [Instance(id="a", task="record", execution_time=then, create_time=then, retry=policy)]
    )
    await store.claim(["a"], node="dead", until=then)

    async def body(_context):
        raise ValueError("broken")

    task = RecordingTask(body)
    async with running(task, store=store, clock=clock) as bench:
        await bench.clock.advance(60)
        ended = await bench.get("a")
        assert (ended.state, ended.attempt, ended.counted_attempts) == (State.FAILED, 3, 2)
        assert task.called("run") == ["a", "a"]


async def test_an_end_that_the_store_chokes_on_does_not_reach_other_attempts(running):
    class Choking(MemoryStore):
        async def finish(self, endings):
            if any(ending.id == "bad" for ending in endings):
                raise TypeError("not what the driver can write")
            return await super().finish(endings)

    clock = FakeClock()
    task = RecordingTask()
    async with running(task, store=Choking(clock=clock), clock=clock) as bench:
        await bench.create("bad")
        await bench.clock.advance(1)
        await bench.create("fine")
        await bench.clock.advance(1)
        assert (await bench.get("fine")).state is State.SUCCEEDED
        assert (await bench.get("bad")).state is State.RUNNING
