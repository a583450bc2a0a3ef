"""Of what is due and cannot all be started at once, the higher priority is started first."""

from datetime import timedelta

from later_core.model.instance import Instance
from later_core.model.retry import RetryPolicy
from later_core.model.state import State
from later_core.stores.memory import MemoryStore
from later_core.testing.clock import FakeClock
from later_core.testing.tasks import RecordingTask


def taking(seconds, clock):
    async def body(_context):
        await clock.sleep(seconds)

    return RecordingTask(body)


async def pending(store, clock, count, *, age, prefix, priority=0):
    now = clock.now()
    await store.insert(
        [
            Instance(
                id=f"{prefix}-{n:03}",
                task="record",
                create_time=now,
                execution_time=now - timedelta(seconds=age),
                priority=priority,
            )
            for n in range(count)
        ]
    )


async def test_where_there_is_room_for_one_the_highest_is_started_first(running):
    clock = FakeClock()
    task = taking(1, clock)
    async with running(task, clock=clock, max_running=1) as bench:
        await bench.create("runs")
        await bench.clock.advance(0.5)
        for id, priority in {"c": 0, "b": 1, "a": 100, "d": 0, "e": 100}.items():
            await bench.create(id, priority=priority, delay=0.1)
        await bench.clock.advance(10)
        assert task.called("run") == ["runs", "a", "e", "b", "c", "d"]


async def test_nothing_is_started_early_for_its_priority(running):
    clock = FakeClock()
    task = RecordingTask()
    async with running(task, clock=clock, max_running=1) as bench:
        await bench.create("high", priority=100, delay=60)
        await bench.create("low", delay=30)
        await bench.clock.advance(59.9)
        assert task.called("run") == ["low"]
        assert (await bench.get("high")).state is not State.SUCCEEDED
        await bench.clock.advance(0.2)
        assert task.called("run") == ["low", "high"]
        high = await bench.get("high")
        assert high.start_time is not None
        assert high.start_time >= high.execution_time


async def test_after_a_downtime_the_highest_are_started_first_and_what_is_due_now_before_all(
    running,
):
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    await pending(store, clock, 100, age=7_200, prefix="low")
    await pending(store, clock, 20, age=60, prefix="high", priority=100)
    await pending(store, clock, 20, age=3_600, prefix="middle", priority=1)
    task = RecordingTask()
    async with running(task, store=store, clock=clock, catch_up_rate=10) as bench:
        await bench.clock.advance(1)
        await bench.create("now")
        await bench.clock.advance(0.1)
        begun = task.called("run")
        # Of the backlog a second's worth, of the highest priority; and what is due now at once.
        assert begun.count("now") == 1
        assert {id.partition("-")[0] for id in begun} == {"high", "now"}
        await bench.clock.advance(20)
        drained = [id.partition("-")[0] for id in task.called("run") if id != "now"]
        assert drained == ["high"] * 20 + ["middle"] * 20 + ["low"] * 100


async def test_a_retry_keeps_the_priority(running):
    clock = FakeClock()

    async def body(context):
        await clock.sleep(1)
        if context.instance.id == "high" and context.attempt == 1:
            raise ValueError("broken")

    task = RecordingTask(body)
    policy = RetryPolicy(max_attempts=2, min_backoff=timedelta(seconds=0.2), jitter=0)
    async with running(task, clock=clock, max_running=1) as bench:
        await bench.create("high", priority=1, retry=policy)
        for n in range(4):
            await bench.create(f"low{n}", delay=0.1)
        await bench.clock.advance(20)
        assert task.called("run") == ["high", "low0", "high", "low1", "low2", "low3"]


async def test_a_moment_that_has_too_many_begins_with_the_highest(running):
    clock = FakeClock()
    task = taking(1, clock)
    async with running(task, clock=clock, max_running=2) as bench:
        for n in range(6):
            await bench.create(f"i{n}", priority=n // 2, delay=5)
        await bench.clock.advance(20)
        begun = task.called("run")
        assert [set(begun[at : at + 2]) for at in (0, 2, 4)] == [
            {"i4", "i5"}, {"i2", "i3"}, {"i0", "i1"},
        ]  # fmt: skip


async def test_what_is_not_due_yet_takes_no_room_from_what_is_due(running):
    clock = FakeClock()
    task = taking(0.05, clock)
    async with running(task, clock=clock, max_running=1, claim_lead=0.4) as bench:
        for n in range(8):
            await bench.create(f"high{n}", priority=100, delay=1 + 0.1 * n)
            await bench.create(f"low{n}", delay=1 + 0.1 * n)
        await bench.clock.advance(5)
        # Each moment has room for its two, one after the other: none waits for one of a later moment.
        lows = [await bench.get(f"low{n}") for n in range(8)]
        late = [low.start_time - low.execution_time for low in lows if low.start_time]
        assert len(late) == 8
        assert max(late) < timedelta(seconds=0.3)


async def test_of_what_is_claimed_ahead_the_earlier_comes_first(running):
    clock = FakeClock()
    task = taking(0.05, clock)
    async with running(task, clock=clock, max_running=1, claim_lead=0.4) as bench:
        # Claimed together: were the higher taken first, it would keep the only room until it is due.
        await bench.create("high", priority=100, delay=1.08)
        await bench.create("low", delay=1)
        await bench.clock.advance(5)
        assert task.called("run") == ["low", "high"]
