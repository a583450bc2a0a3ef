"""A task starts no more often than its rate limit lets it, on all nodes together."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from later_core.engine.permits import AHEAD, PermitBook
from later_core.errors import StoreUnavailable
from later_core.model.concurrency import Concurrency
from later_core.model.rate import RateLimit
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask

SECOND = timedelta(seconds=1)
TEN = RateLimit(count=10)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(clock):
    return MemoryStore(clock=clock)


class Starts:
    """Limited tasks that note when each of their runs began."""

    def __init__(self, clock):
        self.clock = clock
        self.times = []

    def task(self, rate, name="record"):
        async def body(context):
            self.times.append(self.clock.monotonic())

        task = RecordingTask(body, name=name)
        task.rate_limit = rate
        return task

    def most_within(self, seconds):
        times = sorted(self.times)
        return max(
            sum(time < begin + seconds for time in times[n:]) for n, begin in enumerate(times)
        )


async def test_starts_are_evenly_spread(running, clock, store):
    starts = Starts(clock)
    async with running(starts.task(TEN), clock=clock, store=store) as bench:
        for n in range(30):
            await bench.create(f"i{n}", delay=1)
        await clock.advance(1.05)
        assert len(starts.times) == 1
        await clock.advance(3)
        assert len(starts.times) == 30
        assert starts.most_within(1.0) <= 11


async def test_after_a_pause_a_burst_starts_at_once(running, clock, store):
    starts = Starts(clock)
    rate = RateLimit(count=10, burst=5)
    async with running(starts.task(rate), clock=clock, store=store) as bench:
        for n in range(20):
            await bench.create(f"i{n}", delay=1)
        await clock.advance(1.05)
        assert len(starts.times) == 5
        await clock.advance(2)
        assert len(starts.times) == 20
        assert starts.most_within(1.0) <= 15


async def test_nodes_together_keep_the_limit_and_use_all_of_it(running, clock, store):
    starts = Starts(clock)
    async with AsyncExitStack() as nodes:
        tasks = [starts.task(TEN) for _ in range(3)]
        benches = [
            await nodes.enter_async_context(running(task, clock=clock, store=store))
            for task in tasks
        ]
        await clock.advance(3)
        for n in range(60):
            await benches[n % 3].create(f"i{n}", delay=3)
        # Three nodes that ask by turns lose next to nothing of six seconds' worth.
        await clock.advance(3 + 7)
        assert len(starts.times) == 60
        assert starts.most_within(1.0) <= 11
        assert min(len(task.called("run")) for task in tasks) > 0


async def test_other_tasks_are_not_held_up(running, clock, store):
    starts = Starts(clock)
    tasks = starts.task(RateLimit(count=1, per=60 * SECOND)), RecordingTask(name="free")
    async with running(*tasks, clock=clock, store=store) as bench:
        for n in range(50):
            await bench.create(f"i{n}")
        await clock.advance(1)
        for n in range(20):
            await bench.create(f"f{n}", task="free", delay=1)
        await clock.advance(1.1)
        assert len(tasks[1].called("run")) == 20
        assert len(starts.times) == 1


async def test_an_operator_may_set_another_limit_or_none(running, clock, store):
    starts = Starts(clock)
    tasks = starts.task(TEN), starts.task(TEN, name="other")
    limits = "record=none, other=2/s"
    async with running(*tasks, clock=clock, store=store, rate_limits=limits) as bench:
        for n in range(20):
            await bench.create(f"i{n}", delay=1)
            await bench.create(f"o{n}", delay=1, task="other")
        await clock.advance(1.9)
        assert len(tasks[0].called("run")) == 20
        assert len(tasks[1].called("run")) == 2
        shown = {each.task.name: each.rate_limit for each in bench.parts.inventory.tasks()}
        assert shown == {"record": None, "other": RateLimit(count=2)}


async def test_a_start_deadline_holds_for_those_that_wait(running, clock, store):
    starts = Starts(clock)
    task = starts.task(RateLimit(count=1, per=60 * SECOND))
    async with running(task, clock=clock, store=store) as bench:
        for n in range(3):
            await bench.create(f"i{n}", start_deadline=2 * SECOND)
        await clock.advance(3)
        states = sorted([(await bench.get(f"i{n}")).state for n in range(3)])
        assert states == [State.FAILED, State.FAILED, State.SUCCEEDED]


async def test_waiting_for_a_permit_is_no_lateness_and_starts_are_not_early(running, clock, store):
    starts = Starts(clock)
    async with running(starts.task(TEN), clock=clock, store=store) as bench:
        created = [await bench.create(f"i{n}", delay=1 + n / 20) for n in range(20)]
        await clock.advance(5)
        lateness = (await bench.parts.inventory.stats()).lateness
        assert lateness.count == 20
        assert lateness.max < SECOND / 10
        for instance in created:
            ended = await bench.get(instance.id)
            assert ended.start_time is not None
            assert ended.start_time >= instance.execution_time


async def test_a_key_and_a_rate_hold_together(running, clock, store):
    starts = Starts(clock)
    other = RecordingTask(name="other")
    async with running(starts.task(TEN), other, clock=clock, store=store) as bench:
        key = Concurrency(key="k", limit=2)
        for n in range(10):
            await bench.create(f"i{n}", concurrency=key)
            await bench.create(f"o{n}", task="other", concurrency=key)
        await clock.advance(10)
        assert len(starts.times) == 10
        assert starts.most_within(1.0) <= 11
        assert len(other.called("run")) == 10
        assert await store.slots("k") == []


async def test_no_node_hoards_permits(clock, store):
    """What it has in hand and does not use bounds what may start late at once."""
    book = PermitBook(store=store, rates={"mail": TEN})
    most = TEN.in_hand(AHEAD)
    assert book.room("mail") == most
    permits, _ = await book.reserve("mail", most)
    assert len(permits) == most
    assert book.room("mail") == 0
    book.use(permits[0])
    book.use(permits[0])
    assert book.room("mail") == 1


async def test_a_lost_answer_costs_permits_and_no_instance(running, clock):
    class Losing(MemoryStore):
        lost = 0

        async def reserve_permits(self, task, rate, *, count, ahead):
            permits = await super().reserve_permits(task, rate, count=count, ahead=ahead)
            if self.lost < 3:
                self.lost += 1
                raise StoreUnavailable("the answer was lost")
            return permits

    store, starts = Losing(clock=clock), Starts(clock)
    key = Concurrency(key="k", limit=5)
    async with running(starts.task(TEN), clock=clock, store=store) as bench:
        for n in range(10):
            await bench.create(f"i{n}", concurrency=key if n % 2 else None)
        await clock.advance(20)
        assert len(starts.times) == 10
        assert starts.most_within(1.0) <= 11
        assert await store.slots("k") == []
