"""Of one concurrency key no more run at once than may, on all nodes together, and each has its turn."""

import sys
import threading
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from later_core.errors import StoreUnavailable
from later_core.local.lobby import Lobby
from later_core.model.concurrency import Concurrency, Slot
from later_core.model.instance import Instance
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.plugin.task import Task, TaskError
from later_core.ports.clock import SystemClock
from later_core.stores.memory import MemoryStore
from later_core.testing.builders import a_node
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask

SECOND = timedelta(seconds=1)
ONE = Concurrency(key="k", limit=1)
TWO = Concurrency(key="k", limit=2)


class CountingStore(MemoryStore):
    """Counts calls, and loses the answers of some."""

    def __init__(self, *, clock):
        super().__init__(clock=clock)
        self.calls = []
        self.lose_answers_of = []

    def _noted(self, name):
        self.calls.append(name)
        if name in self.lose_answers_of:
            self.lose_answers_of.remove(name)
            raise StoreUnavailable(f"the answer to {name} was lost")

    async def claim(self, ids, **asked):
        claimed = await super().claim(ids, **asked)
        self._noted("claim admitted" if asked.get("is_admitted") else "claim")
        return claimed

    async def gated(self, ids, **asked):
        gated = await super().gated(ids, **asked)
        self._noted("gated")
        return gated

    async def take_slots(self, slots):
        answers = await super().take_slots(slots)
        self._noted("take")
        return answers

    async def give_back_slots(self, slots):
        await super().give_back_slots(slots)
        if slots:
            self._noted("give back")


class Meter:
    """A body that lasts as long as asked, and how many of it ran at once."""

    def __init__(self, clock, seconds=1.0):
        self.clock = clock
        self.seconds = seconds
        self.running = 0
        self.most = 0
        self.order = []

    async def __call__(self, context):
        self.running += 1
        self.most = max(self.most, self.running)
        self.order.append(context.instance.id)
        try:
            await self.clock.sleep(self.seconds)
        finally:
            self.running -= 1


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(clock):
    return CountingStore(clock=clock)


async def held(store, key="k"):
    return [slot.id for slot in await store.slots(key)]


async def test_no_more_run_at_once_than_the_limit_and_in_order_of_time(running, clock, store):
    meter = Meter(clock)
    async with running(RecordingTask(meter), clock=clock, store=store) as bench:
        for n in range(6):
            await bench.create(f"i{n}", delay=2 - n / 10, concurrency=TWO)
        await clock.advance(3)
        assert meter.running == 2
        assert (await bench.get("i0")).state is State.PENDING
        await clock.advance(4)
        assert meter.most == 2
        assert meter.order == [f"i{n}" for n in reversed(range(6))]
        assert await held(store) == []


async def test_keys_do_not_wait_for_each_other(running, clock, store):
    meter = Meter(clock)
    async with running(RecordingTask(meter), clock=clock, store=store) as bench:
        for n in range(5):
            await bench.create(concurrency=Concurrency(key=f"k{n}", limit=1))
        await clock.advance(0.5)
        assert meter.running == 5


async def test_who_waits_does_not_hold_up_what_has_no_limit(running, clock, store):
    meter = Meter(clock, 100)
    tasks = RecordingTask(meter), RecordingTask(name="free")
    async with running(*tasks, clock=clock, store=store, max_running=2) as bench:
        for n in range(50):
            await bench.create(f"i{n}", concurrency=ONE)
        await clock.advance(1)
        for n in range(20):
            await bench.create(f"f{n}", task="free", delay=1)
        await clock.advance(3)
        assert len(tasks[1].called("run")) == 20


async def test_without_limits_nothing_is_asked_of_the_gate(running, clock, store):
    async with running(RecordingTask(), clock=clock, store=store) as bench:
        for n in range(5):
            await bench.create(f"i{n}", delay=n / 10)
        await clock.advance(2)
        assert set(store.calls) == {"claim"}


async def test_nodes_share_the_slots_and_wait_no_longer_than_half_a_second(running, clock, store):
    meter = Meter(clock)
    async with AsyncExitStack() as nodes:
        tasks = [RecordingTask(meter) for _ in range(3)]
        benches = [
            await nodes.enter_async_context(running(task, clock=clock, store=store))
            for task in tasks
        ]
        await clock.advance(3)
        for n in range(30):
            await benches[0].create(f"i{n}", delay=5, concurrency=TWO)
        await clock.advance(5)
        # 15 rounds of a second each, and between two of them half a second at the most.
        await clock.advance(15 * 1.6)
        assert sorted(meter.order) == sorted(f"i{n}" for n in range(30))
        assert meter.most == 2
        assert min(len(task.called("run")) for task in tasks) > 0
        assert await held(store) == []


async def test_slots_of_a_dead_node_are_free_once_its_lease_has_run_out(running, clock, store):
    await store.beat(a_node("dead"), lease=10 * SECOND)
    await store.take_slots([Slot(key="k", id="lost", node="dead", serial=7, limit=1)])
    task = RecordingTask()
    async with running(task, clock=clock, store=store) as bench:
        await bench.create("i", concurrency=ONE)
        await clock.advance(9.9)
        assert task.called("run") == []
        await clock.advance(7)
        assert task.called("run") == ["i"]


async def test_a_node_that_dies_with_slots_leaves_them_to_the_others(running, clock, store):
    """Killed between claim and end: RUNNING under its name, its slot held, and nobody at home."""
    await store.beat(a_node("dead", tasks=["record"]), lease=10 * SECOND)
    then = clock.now()
    await store.insert(
        [Instance(id="a", task="record", execution_time=then, create_time=then, concurrency=ONE)]
    )
    await store.take_slots([Slot(key="k", id="a", node="dead", serial=1, limit=1)])
    assert await store.claim(["a"], node="dead", until=then, is_admitted=True)
    task = RecordingTask()
    async with running(task, clock=clock, store=store) as bench:
        await bench.create("b", concurrency=ONE)
        await clock.advance(20)
        assert sorted(task.called("run")) == ["a", "b"]
        assert await held(store) == []


async def test_an_abort_frees_the_slot_for_the_next(running, clock, store):
    meter = Meter(clock, 1000)
    async with running(RecordingTask(meter), clock=clock, store=store) as bench:
        for id in ("first", "second", "third"):
            await bench.create(id, concurrency=ONE)
            await clock.advance(0.2)
        await bench.parts.instances.abort("second")
        await bench.parts.instances.abort("first")
        await clock.advance(1)
        assert meter.order == ["first", "third"]
        assert await held(store) == ["third"]


async def test_what_was_moved_while_it_waited_runs_at_its_new_time(running, clock, store):
    meter = Meter(clock, 2)
    async with running(RecordingTask(meter), clock=clock, store=store) as bench:
        await bench.create("first", concurrency=ONE)
        await clock.advance(0.2)
        await bench.create("second", concurrency=ONE)
        await clock.advance(0.2)
        await bench.parts.instances.reschedule(
            "second", execution_time=None, delay=10 * SECOND, revision=None
        )
        await clock.advance(9)
        assert meter.order == ["first"]
        await clock.advance(2)
        assert meter.order == ["first", "second"]


async def test_who_waits_past_the_start_deadline_is_missed_at_once(running, clock, store):
    meter = Meter(clock, 1000)
    async with running(RecordingTask(meter), clock=clock, store=store) as bench:
        await bench.create("first", concurrency=ONE)
        await clock.advance(0.2)
        await bench.create("second", concurrency=ONE, start_deadline=3 * SECOND)
        await clock.advance(2.9)
        assert (await bench.get("second")).state is State.PENDING
        await clock.advance(0.5)
        second = await bench.get("second")
        assert second.error is not None
        assert (second.state, second.error.reason) == (State.FAILED, "MISSED")
        assert meter.order == ["first"]
        assert await held(store) == ["first"]


async def test_between_two_attempts_others_have_their_turn(running, clock, store):
    order = []

    async def body(context):
        order.append((context.instance.id, context.attempt))
        await clock.sleep(1)
        if context.instance.id == "fails" and context.attempt == 1:
            raise TaskError("once")

    async with running(RecordingTask(body), clock=clock, store=store) as bench:
        retry = RetryPolicy(max_attempts=2, min_backoff=SECOND / 2)
        await bench.create("fails", concurrency=ONE, retry=retry)
        await clock.advance(0.2)
        await bench.create("other", concurrency=ONE)
        await clock.advance(5)
        assert order == [("fails", 1), ("other", 1), ("fails", 2)]
        assert await held(store) == []


async def test_waiting_for_a_slot_is_no_lateness(running, clock, store):
    async with running(RecordingTask(Meter(clock, 5)), clock=clock, store=store) as bench:
        for n in range(3):
            await bench.create(f"i{n}", concurrency=ONE)
        await clock.advance(20)
        lateness = (await bench.parts.inventory.stats()).lateness
        assert lateness.count == 3
        assert lateness.max < SECOND / 10


@pytest.mark.parametrize("lost", ["take", "give back", "claim admitted", "gated", "claim"])
async def test_a_lost_answer_costs_no_slot_and_no_second_run(running, clock, store, lost):
    meter = Meter(clock, 0.5)
    task = RecordingTask(meter)
    async with running(task, clock=clock, store=store) as bench:
        store.lose_answers_of += [lost, lost]
        for n in range(6):
            await bench.create(f"i{n}", delay=n / 10, concurrency=TWO)
        await clock.advance(30)
        assert sorted(task.called("on_success")) == [f"i{n}" for n in range(6)]
        assert sorted(meter.order) == [f"i{n}" for n in range(6)]
        assert meter.most == 2
        assert await held(store) == []


async def test_a_node_that_drains_keeps_no_slot(running, clock, store):
    meter = Meter(clock, 3)
    async with running(RecordingTask(meter), clock=clock, store=store) as bench:
        for n in range(4):
            await bench.create(f"i{n}", concurrency=TWO)
        await clock.advance(1)
        await bench.parts.drain(timedelta())
        await clock.advance(1)
        assert await held(store) == []
        assert [(await bench.get(f"i{n}")).state for n in range(4)] == [State.PENDING] * 4


async def test_a_thread_that_nobody_can_stop_keeps_its_slot(running, clock, store):
    class Stubborn(Task):
        name = "stubborn"

        def __init__(self):
            self.release, self.began = threading.Event(), []

        def run(self, context):
            self.began.append(context.instance.id)
            self.release.wait(30)

    task = Stubborn()
    async with running(task, clock=clock, store=store) as bench:
        await bench.create("first", task="stubborn", concurrency=ONE, timeout=SECOND)
        await _until(lambda: task.began == ["first"], clock)
        await bench.create("second", task="stubborn", concurrency=ONE)
        await clock.advance(10)
        assert (await bench.get("first")).state is State.FAILED
        assert task.began == ["first"]
        assert await held(store) == ["first"]
        task.release.set()
        await _until(lambda: task.began == ["first", "second"], clock)
        await _until(lambda: not store._slots, clock)


async def _until(condition, clock):
    """Threads are not the fake clock's: wait for them, with a deadline."""
    real = SystemClock()
    deadline = real.monotonic() + 30
    while not condition():
        assert real.monotonic() < deadline
        await real.sleep(0.005)
        await clock.advance(0.1)


async def test_more_than_the_lobby_holds_all_run(running, clock, store, monkeypatch):
    # ``later_core.app.node`` names the function too.
    page = sys.modules["later_core.app.node"]
    monkeypatch.setattr(page, "Lobby", lambda: Lobby(capacity=5))
    meter = Meter(clock, 0.1)
    async with running(RecordingTask(meter), clock=clock, store=store) as bench:
        for n in range(40):
            await bench.create(f"i{n}", concurrency=TWO)
        await clock.advance(30)
        assert sorted(meter.order) == sorted(f"i{n}" for n in range(40))
        assert meter.most == 2
